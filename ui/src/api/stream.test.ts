import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FakeEventSource } from '../test/fakeEventSource'
import { openStream, retryDelayMs } from './stream'

describe('openStream', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    FakeEventSource.install()
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  const open = () => {
    const states: string[] = []
    const news: unknown[] = []
    const stop = openStream({
      url: '/x',
      on: { news: (data) => news.push(data) },
      onState: (state) => states.push(state),
    })
    return { states, news, stop }
  }

  it('hands on events and forgets them after the end', () => {
    const { news, stop } = open()
    const source = FakeEventSource.last()
    source.emit('news', { a: 1 })
    stop()
    expect(news).toEqual([{ a: 1 }])
    expect(source.closed).toBe(true)
    vi.runAllTimers()
    expect(FakeEventSource.all).toHaveLength(1)
  })

  it('comes back after a failure and says "lost" only when that fails too', () => {
    const { states, stop } = open()
    FakeEventSource.last().emit('open')
    FakeEventSource.last().emit('error')
    vi.advanceTimersByTime(1000)
    FakeEventSource.last().emit('error')
    vi.advanceTimersByTime(2000)
    FakeEventSource.last().emit('open')
    expect(states).toEqual(['live', 'connecting', 'lost', 'live'])
    expect(FakeEventSource.all).toHaveLength(3)
    stop()
  })

  it('waits longer for a hub that lets in and throws out at once', () => {
    const { stop } = open()
    for (let i = 0; i < 4; i += 1) {
      FakeEventSource.last().emit('open')
      FakeEventSource.last().emit('error')
      vi.advanceTimersByTime(16_000)
    }
    FakeEventSource.last().emit('open')
    FakeEventSource.last().emit('error')
    const before = FakeEventSource.all.length
    vi.advanceTimersByTime(2_000)
    expect(FakeEventSource.all).toHaveLength(before)
    stop()
  })

  it('does not come back after the end', () => {
    const { states, stop } = open()
    FakeEventSource.last().emit('open')
    FakeEventSource.last().emit('end', {})
    vi.advanceTimersByTime(60_000)
    expect(states).toEqual(['live', 'ended'])
    expect(FakeEventSource.all).toHaveLength(1)
    stop()
  })

  it('takes an event named error for what it is', () => {
    const { states, stop } = open()
    FakeEventSource.last().emit('open')
    FakeEventSource.last().emit('error', { code: 'x', message: 'no log' })
    expect(states).toEqual(['live'])
    stop()
  })

  it('notices a connection that fell silent', () => {
    const { states, stop } = open()
    FakeEventSource.last().emit('open')
    vi.advanceTimersByTime(40_000)
    FakeEventSource.last().emit('ping', {})
    vi.advanceTimersByTime(40_000)
    expect(states).toEqual(['live'])
    vi.advanceTimersByTime(6_000)
    expect(FakeEventSource.all[0]?.closed).toBe(true)
    expect(states).toEqual(['live', 'connecting'])
    stop()
  })
})

it('waits longer after each failure, up to a limit', () => {
  expect([0, 1, 2, 20].map((attempt) => retryDelayMs(attempt, 0))).toEqual([500, 1000, 2000, 15_000])
  expect(retryDelayMs(0, 1)).toBe(375)
})
