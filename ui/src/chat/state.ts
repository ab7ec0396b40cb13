// The conversation as the hub tells it. A snapshot replaces everything, a patch sets one item or the run; the page adds
// nothing of its own, so nothing can show up twice.
import type { ChatItem, ChatPatch, ChatRun, ChatSnapshot } from '../api/types'

export interface ChatState {
  /** False until the first snapshot. */
  loaded: boolean
  items: ChatItem[]
  run: ChatRun | null
  /** Set while the agent cannot be reached. */
  unavailable: { code: string; message: string } | null
}

export type ChatEvent =
  | { type: 'snapshot'; data: ChatSnapshot }
  | { type: 'patch'; data: ChatPatch }
  | { type: 'unavailable'; data: { code: string; message: string } }

export const emptyChat: ChatState = { loaded: false, items: [], run: null, unavailable: null }

export function reduceChat(state: ChatState, event: ChatEvent): ChatState {
  switch (event.type) {
    case 'snapshot':
      return { loaded: true, items: event.data.items, run: event.data.run ?? null, unavailable: null }
    case 'patch': {
      // Without a snapshot there is nothing to patch; one always follows.
      if (!state.loaded) return state
      const { item, run } = event.data
      return {
        ...state,
        items: item ? upsert(state.items, item) : state.items,
        run: run ?? state.run,
        unavailable: null,
      }
    }
    case 'unavailable':
      return { ...state, unavailable: event.data }
  }
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
