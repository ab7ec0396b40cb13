// Names for the API's shapes, so that nothing else reaches into the generated file.
import type { components } from './schema'

type Schemas = components['schemas']

export type Instance = Schemas['Instance']
export type InstanceList = Schemas['Instances']
export type InstanceCreate = Schemas['InstanceCreate']
export type Phase = Schemas['Phase']
export type Egress = Schemas['Egress']
export type Enforcement = Schemas['Enforcement']
export type Job = Schemas['Job']
export type ChatSession = Schemas['ChatSession']
export type Provider = Schemas['ProviderView']
export type ProviderCreate = Schemas['ProviderCreate']
export type Session = Schemas['SessionView']

// What streams carry is not part of the document: OpenAPI does not describe server-sent events.

/** One entry of a conversation; its text is all of it so far, not a delta. */
export interface ChatItem {
  id: string
  role: 'user' | 'assistant' | 'thinking' | 'tool' | 'error' | 'system'
  text: string
  /** True while more text may follow. */
  streaming: boolean
  /** The tool's name, for `role: tool`. */
  tool?: string | null
  at?: string | null
}

/** The turn that a session is working on. */
export interface ChatRun {
  id: string
  /** `queued`, `preparing`, `thinking`, `answering`, `retrying`, then `done`, `failed` or `aborted`. */
  phase: string
  message?: string | null
}

/** Everything a conversation holds at one moment; replaces what was known before. */
export interface ChatSnapshot {
  cursor: string
  items: ChatItem[]
  run: ChatRun | null
}

/** One change since the last snapshot or patch. */
export interface ChatPatch {
  cursor: string
  item?: ChatItem | null
  run?: ChatRun | null
}

/** Why a stream has nothing to say now. */
export interface StreamTrouble {
  code: string
  message: string
}

/** One line of an instance's output. */
export interface LogLine {
  at: string
  /** `stdout`, `stderr` or `reef` (the sandbox's own words). */
  stream: string
  text: string
}
