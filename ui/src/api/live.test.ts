import { expect, it } from 'vitest'
import { withInstance, withJob, withoutInstance } from './live'
import type { Instance, InstanceList, Job } from './types'

const instance = (id: string, generation = 1, more: Partial<Instance> = {}) =>
  ({ id, generation, ...more }) as Instance
const list = (...instances: Instance[]): InstanceList => ({ updatedAt: '', instances })
const job = (id: string, instanceId: string, createdAt: string) => ({ id, instanceId, createdAt }) as Job

it('adds, replaces and removes instances', () => {
  expect(withInstance(list(), instance('a')).instances).toHaveLength(1)
  const replaced = withInstance(list(instance('a'), instance('b')), instance('a', 2))
  expect(replaced.instances.map((one) => [one.id, one.generation])).toEqual([
    ['a', 2],
    ['b', 1],
  ])
  expect(withoutInstance(replaced, 'a').instances.map((one) => one.id)).toEqual(['b'])
})

it('never goes back to an older generation', () => {
  const before = list(instance('a', 3))
  expect(withInstance(before, instance('a', 2))).toBe(before)
})

it('shows a job on its own instance only, and the newest one', () => {
  const older = job('j1', 'a', '2026-01-01')
  const newer = job('j2', 'a', '2026-01-02')
  const shown = withJob(list(instance('a'), instance('b')), newer)
  expect(shown.instances.map((one) => one.job?.id)).toEqual(['j2', undefined])
  expect(withJob(shown, older).instances[0]?.job?.id).toBe('j2')
})
