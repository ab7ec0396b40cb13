// The conversation as the hub tells it. A snapshot replaces everything, a patch sets one item or the run; the page adds
// nothing of its own, so nothing can show up twice.
import type { ChatItem, ChatPatch, ChatRun, ChatSnapshot, StreamTrouble } from '../api/types'

export interface ChatState {
  /** False until the first snapshot. */
  loaded: boolean
  items: ChatItem[]
  run: ChatRun | null
  /** Set while the agent cannot be reached. */
  unavailable: StreamTrouble | null
  /** Of the last snapshot or patch. */
  cursor: string
}

export type ChatEvent =
  | { type: 'snapshot'; data: ChatSnapshot }
  | { type: 'patch'; data: ChatPatch }
  | { type: 'unavailable'; data: StreamTrouble }

export const emptyChat: ChatState = { loaded: false, items: [], run: null, unavailable: null, cursor: '' }

export function reduceChat(state: ChatState, event: ChatEvent): ChatState {
  switch (event.type) {
    case 'snapshot': {
      const { cursor, items, run } = event.data
      return { loaded: true, items, run: run ?? null, unavailable: null, cursor }
    }
    case 'patch': {
      // Without a snapshot there is nothing to patch; one always follows.
      if (!state.loaded) return state
      const { cursor, item, run } = event.data
      // The hub listens before it reads: what a snapshot already holds may follow it once more.
      if (isOld(cursor, state.cursor)) return state
      return {
        ...state,
        items: item ? upsert(state.items, item) : state.items,
        run: run ?? state.run,
        unavailable: null,
        cursor,
      }
    }
    case 'unavailable':
      return { ...state, unavailable: event.data }
  }
}

/** Whether `cursor` is not after `known`. They compare only within one life of the hub (`epoch-number`). */
function isOld(cursor: string, known: string): boolean {
  const [epoch, count] = splitCursor(cursor)
  const [knownEpoch, knownCount] = splitCursor(known)
  return epoch === knownEpoch && count <= knownCount
}

function splitCursor(cursor: string): [epoch: string, count: number] {
  const cut = cursor.lastIndexOf('-')
  return [cursor.slice(0, cut), Number(cursor.slice(cut + 1))]
}

function upsert(items: ChatItem[], item: ChatItem): ChatItem[] {
  // Nearly always one of the last: search from the end.
  const index = items.findLastIndex((known) => known.id === item.id)
  return index < 0 ? [...items, item] : items.with(index, item)
}

/** Whether the agent is at work on this session. */
export function isBusy(run: ChatRun | null): boolean {
  return run !== null && !['done', 'failed', 'aborted'].includes(run.phase)
}
