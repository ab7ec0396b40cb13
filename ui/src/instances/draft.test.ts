import { expect, it } from 'vitest'
import { draftErrors, emptyDraft, toRequest } from './draft'

const draft = { ...emptyDraft, name: 'scout' }

it.each([
  ['name', 'Bad name'],
  ['memoryMiB', '255'],
  ['memoryMiB', '1.5'],
  ['cpus', '0'],
  ['cpus', '0.0001'],
  ['cpus', '1e3'],
  ['cpus', '1025'],
  ['pids', '0'],
  ['pids', 'many'],
] as const)('refuses %s %j', (field, value) => {
  expect(Object.keys(draftErrors({ ...draft, [field]: value }))).toEqual([field])
})

it('asks for what was entered, and leaves out what was not', () => {
  expect(draftErrors(draft)).toEqual({})
  expect(toRequest({ ...draft, memoryMiB: '512', cpus: '0.5', pids: '64' })).toEqual({
    name: 'scout',
    egress: 'closed',
    resources: { memoryBytes: 536_870_912, cpusMilli: 500, pids: 64 },
  })
  expect(toRequest({ ...draft, displayName: ' Scout ', model: 'echo/plain' })).toMatchObject({
    displayName: 'Scout',
    model: 'echo/plain',
  })
})
