import { describe, expect, it } from 'vitest'
import type { ChatItem } from '../api/types'
import { emptyChat, isBusy, reduceChat, type ChatState } from './state'

const item = (id: string, text: string): ChatItem => ({ id, role: 'assistant', text, streaming: false })
const loaded = (...items: ChatItem[]): ChatState => ({ ...emptyChat, loaded: true, items })

describe('reduceChat', () => {
  it('lets a snapshot replace everything', () => {
    const before: ChatState = {
      loaded: true,
      items: [item('a', 'old'), item('gone', 'x')],
      run: { id: 'r', phase: 'answering' },
      unavailable: { code: 'instance_unavailable', message: 'away' },
      cursor: 'e-3',
    }
    const after = reduceChat(before, {
      type: 'snapshot',
      data: { cursor: 'e-9', items: [item('a', 'new')], run: null },
    })
    expect(after).toEqual({
      loaded: true,
      items: [item('a', 'new')],
      run: null,
      unavailable: null,
      cursor: 'e-9',
    })
  })

  it('sets a known item in its place and appends an unknown one', () => {
    let state = loaded(item('a', 'one'), item('b', 'two'))
    state = reduceChat(state, { type: 'patch', data: { cursor: 'e-1', item: item('a', 'one more') } })
    state = reduceChat(state, { type: 'patch', data: { cursor: 'e-2', item: item('c', 'three') } })
    expect(state.items.map((one) => one.text)).toEqual(['one more', 'two', 'three'])
  })

  it('shows an item once, however often the same patch arrives', () => {
    let state = loaded()
    for (let i = 0; i < 3; i += 1) {
      state = reduceChat(state, { type: 'patch', data: { cursor: `e-${i}`, item: item('a', 'same') } })
    }
    expect(state.items).toHaveLength(1)
  })

  it.each([
    ['e-4', 0],
    ['e-5', 0],
    ['e-6', 1],
    ['e-10', 1],
    ['other-1', 1],
  ])('after a snapshot at e-5, a patch at %s adds %i items', (cursor, added) => {
    const state = reduceChat(
      { ...loaded(), cursor: 'e-5' },
      { type: 'patch', data: { cursor, item: item('a', '') } },
    )
    expect(state.items).toHaveLength(added)
  })

  it('keeps the run when a patch is only about an item', () => {
    const run = { id: 'r', phase: 'answering' }
    const state = reduceChat(
      { ...loaded(), run },
      { type: 'patch', data: { cursor: 'e-1', item: item('a', '') } },
    )
    expect(state.run).toEqual(run)
  })

  it('ignores a patch without a snapshot before it', () => {
    expect(reduceChat(emptyChat, { type: 'patch', data: { cursor: 'e-1', item: item('a', 'x') } })).toBe(
      emptyChat,
    )
  })

  it('keeps the conversation while the agent is away', () => {
    const state = reduceChat(loaded(item('a', 'x')), {
      type: 'unavailable',
      data: { code: 'instance_unavailable', message: 'restarting' },
    })
    expect(state.items).toHaveLength(1)
    expect(state.unavailable?.message).toBe('restarting')
  })
})

it.each([
  ['queued', true],
  ['answering', true],
  ['retrying', true],
  ['done', false],
  ['failed', false],
  ['aborted', false],
])('a run in phase %s is busy: %s', (phase, busy) => {
  expect(isBusy({ id: 'r', phase })).toBe(busy)
})
