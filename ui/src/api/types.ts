// Names for the API's shapes, so that nothing else reaches into the generated file.
import type { components } from './schema'

type Schemas = components['schemas']

export type Instance = Schemas['Instance']
export type InstanceList = Schemas['InstanceList']
export type InstanceCreate = Schemas['InstanceCreate']
export type Phase = Schemas['Phase']
export type Egress = Schemas['Egress']
export type Enforcement = Schemas['Enforcement']
export type Job = Schemas['Job']
export type ChatItem = Schemas['ChatItem']
export type ChatRun = Schemas['ChatRun']
export type ChatSession = Schemas['ChatSession']
export type Provider = Schemas['Provider']
export type ProviderCreate = Schemas['ProviderCreate']
export type Session = Schemas['Session']
export type User = Schemas['User']
export type SystemReport = Schemas['SystemReport']

/** One line of an instance's output. */
export interface LogLine {
  at: string
  stream: string
  text: string
}

/** Everything a conversation holds at one moment; replaces what was known before. */
export interface ChatSnapshot {
  cursor: string | number
  items: ChatItem[]
  run: ChatRun | null
}

/** One change since the last snapshot or patch. */
export interface ChatPatch {
  cursor: string | number
  item?: ChatItem | null
  run?: ChatRun | null
}
