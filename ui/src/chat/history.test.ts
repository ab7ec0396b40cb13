import { expect, it } from 'vitest'
import { noRecall, recall } from './history'

const SENT = ['first', 'second']

it('walks back, and forward again to the draft', () => {
  const back = recall(SENT, noRecall(SENT), 'draft', -1)
  expect(back?.text).toBe('second')
  const further = recall(SENT, back?.state ?? noRecall(SENT), 'second', -1)
  expect(further?.text).toBe('first')
  expect(recall(SENT, further?.state ?? noRecall(SENT), 'first', -1)).toBeNull()
  const forward = recall(SENT, further?.state ?? noRecall(SENT), 'first', 1)
  expect(forward?.text).toBe('second')
  expect(recall(SENT, forward?.state ?? noRecall(SENT), 'second', 1)?.text).toBe('draft')
})

it('has nothing to recall at first', () => {
  expect(recall([], noRecall([]), 'draft', -1)).toBeNull()
  expect(recall([], noRecall([]), 'draft', 1)).toBeNull()
})
