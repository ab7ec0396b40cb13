import { describe, expect, it } from 'vitest'
import type { ChatItem } from '../api/types'
import { pendingOf, type Outgoing } from './outbox'
import { emptyChat, type ChatState } from './state'

const user = (id: string, text: string): ChatItem => ({ id, role: 'user', text, streaming: false })
const chat = (items: ChatItem[], run: ChatState['run'] = null): ChatState => ({
  ...emptyChat,
  loaded: true,
  items,
  run,
})
const outgoing = (more: Partial<Outgoing>): Outgoing => ({
  key: 'k',
  text: 'hello',
  knownIds: new Set(),
  status: 'accepted',
  runId: 'r',
  error: null,
  ...more,
})

describe('pendingOf', () => {
  it('keeps a message that the hub does not show yet', () => {
    const entry = outgoing({})
    expect(pendingOf([entry], chat([]))).toEqual([entry])
  })

  it('drops it as soon as the hub shows it, also with a stamp before the text', () => {
    expect(pendingOf([outgoing({})], chat([user('1', '[Sun 12:00] hello')]))).toEqual([])
  })

  it('does not take an equal message of earlier for this one', () => {
    const entry = outgoing({ knownIds: new Set(['1']) })
    expect(pendingOf([entry], chat([user('1', 'hello')]))).toEqual([entry])
  })

  it('counts equal messages one by one', () => {
    const entries = [outgoing({ key: 'a' }), outgoing({ key: 'b' })]
    expect(pendingOf(entries, chat([user('1', 'hello')])).map((entry) => entry.key)).toEqual(['b'])
  })

  it('gives up waiting when the turn is over', () => {
    expect(pendingOf([outgoing({})], chat([], { id: 'r', phase: 'done' }))).toEqual([])
    expect(pendingOf([outgoing({})], chat([], { id: 'r', phase: 'answering' }))).toHaveLength(1)
    expect(pendingOf([outgoing({})], chat([], { id: 'other', phase: 'done' }))).toHaveLength(1)
  })
})
