// Typed look-up of what the page says. A second language is a second file with the same keys.
import { en } from './en'

export type Key = keyof typeof en

type ParamNames<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamNames<Rest>
  : never
type Params<K extends Key> = Record<ParamNames<(typeof en)[K]>, string | number>

/** The text for `key`, with its `{names}` filled in. */
export function t<K extends Key>(
  key: K,
  ...[params]: [ParamNames<(typeof en)[K]>] extends [never] ? [] : [Params<K>]
): string {
  const values = params as Record<string, string | number> | undefined
  return en[key].replace(/\{(\w+)\}/g, (_, name: string) => String(values?.[name] ?? ''))
}
