// Messages that were sent but are not yet part of the conversation. An entry leaves as soon as the hub shows the message,
// so a message is seen once at every moment.
import type { ChatState } from './state'
import { isBusy } from './state'

export interface Outgoing {
  /** Also the idempotency key, so that a retry can never send twice. */
  key: string
  text: string
  /** Items that were there before; the hub's copy of this message is none of them. */
  knownIds: ReadonlySet<string>
  status: 'sending' | 'accepted' | 'failed'
  runId: string | null
  error: string | null
}

/** The entries that the conversation does not show yet. */
export function pendingOf(outbox: readonly Outgoing[], chat: ChatState): Outgoing[] {
  const taken = new Set<string>()
  return outbox.filter((entry) => {
    const shown = chat.items.find(
      (item) =>
        item.role === 'user' &&
        !entry.knownIds.has(item.id) &&
        !taken.has(item.id) &&
        item.text.includes(entry.text.trim()),
    )
    if (shown) {
      taken.add(shown.id)
      return false
    }
    // The agent may have rewritten the text; once its turn is over the conversation is complete without us.
    return !(entry.runId !== null && chat.run?.id === entry.runId && !isBusy(chat.run))
  })
}
