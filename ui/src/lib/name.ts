// The rule for instance names, as the hub has it (a name is at once host name, folder name and container name).

/** The longest instance name, in characters. */
export const NAME_LEN_MAX = 40

const NAME_PATTERN = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

export function isInstanceName(text: string): boolean {
  return text.length <= NAME_LEN_MAX && NAME_PATTERN.test(text) && !text.endsWith('\n')
}
