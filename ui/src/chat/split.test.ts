import { expect, it } from 'vitest'
import { splitGrowing } from './split'

it.each([
  ['', '', ''],
  ['one line', '', 'one line'],
  ['done\n\ngrow', 'done\n\n', 'grow'],
  ['done\n\nmore\n\n', 'done\n\nmore\n\n', ''],
  ['a\n\n```ts\nx\n\ny', 'a\n\n', '```ts\nx\n\ny'],
  ['```\nx\n\ny\n```\n\nend', '```\nx\n\ny\n```\n\n', 'end'],
  ['~~~\n```\n\nstill code', '', '~~~\n```\n\nstill code'],
])('cuts %j after its last finished block', (text, finished, growing) => {
  expect(splitGrowing(text)).toEqual([finished, growing])
})
