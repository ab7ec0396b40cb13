import { describe, expect, it } from 'vitest'
import type { Instance, Phase } from '../api/types'
import { instanceCan, jobCan, searchInstances, troubleOf } from './can'

// Which of start, stop, restart, remove and chat each phase allows.
const TABLE: Record<Phase, string> = {
  pending: '- stop - remove -',
  preparing: '- stop - remove -',
  starting: '- stop - remove -',
  running: '- stop restart remove chat',
  degraded: '- stop restart remove -',
  stopping: '- - - remove -',
  stopped: 'start - - remove -',
  failed: 'start - - remove -',
  deleting: '- - - - -',
}

describe('instanceCan', () => {
  it.each(Object.entries(TABLE))('%s allows %s', (phase, allowed) => {
    const verdicts = (['start', 'stop', 'restart', 'remove', 'chat'] as const).map((verb) =>
      instanceCan[verb]({ phase: phase as Phase }) === null ? verb : '-',
    )
    expect(verdicts.join(' ')).toBe(allowed)
  })
})

it('cancels only work that goes on and can be undone', () => {
  expect(jobCan.cancel({ state: 'running', kind: 'instance_start' })).toBeNull()
  expect(jobCan.cancel({ state: 'queued', kind: 'agent_install' })).toBeNull()
  expect(jobCan.cancel({ state: 'done', kind: 'instance_start' })).toMatch(/over/)
  expect(jobCan.cancel({ state: 'running', kind: 'instance_delete' })).toMatch(/removal/)
})

describe('troubleOf', () => {
  const condition = (type: string, status: boolean, message: string, since: string) => ({
    type,
    status,
    message,
    since,
    reason: 'x',
  })
  it('shows the newest failing condition', () => {
    const conditions = [
      condition('Installed', false, 'older', '2026-01-01T00:00:00Z'),
      condition('Ready', false, 'newer', '2026-01-02T00:00:00Z'),
      condition('Started', true, 'fine', '2026-01-03T00:00:00Z'),
    ]
    expect(troubleOf({ phase: 'failed', conditions })).toBe('newer')
    expect(troubleOf({ phase: 'running', conditions })).toBeNull()
  })
  it('says why a step is tried again, in every phase', () => {
    const early = condition('Ready', false, 'not started yet', '2026-01-02T00:00:00Z')
    const retried = condition('Reconciled', false, 'the registry does not answer', '2026-01-01T00:00:00Z')
    expect(troubleOf({ phase: 'preparing', conditions: [early] })).toBeNull()
    expect(troubleOf({ phase: 'preparing', conditions: [early, retried] })).toBe(
      'the registry does not answer',
    )
  })
})

it('finds instances by every word of the query', () => {
  const make = (name: string, more: Partial<Instance> = {}) =>
    ({ name, phase: 'running', labels: {}, ...more }) as Instance
  const all = [make('zeta'), make('scout', { displayName: 'Night scout', labels: { team: 'blue' } })]
  expect(searchInstances(all, '').map((one) => one.name)).toEqual(['scout', 'zeta'])
  expect(searchInstances(all, 'NIGHT team=blue').map((one) => one.name)).toEqual(['scout'])
  expect(searchInstances(all, 'night red')).toEqual([])
})
