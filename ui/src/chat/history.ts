// Recall of earlier messages with the arrow keys, like a shell.

export interface Recall {
  /** Position in the list of sent messages; `sent.length` means the draft. */
  index: number
  draft: string
}

export const noRecall = (sent: readonly string[]): Recall => ({ index: sent.length, draft: '' })

/** One step back (-1) or forward (+1); null when there is nothing further that way. */
export function recall(
  sent: readonly string[],
  state: Recall,
  current: string,
  step: -1 | 1,
): { state: Recall; text: string } | null {
  const from = Math.min(state.index, sent.length)
  const index = from + step
  if (index < 0 || index > sent.length) return null
  const draft = from === sent.length ? current : state.draft
  return { state: { index, draft }, text: index === sent.length ? draft : (sent[index] ?? '') }
}
