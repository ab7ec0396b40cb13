import { expect, it } from 'vitest'
import { appendLine, LOG_LINES_MAX, type NumberedLine } from './logLines'

it('keeps the newest lines and never reuses a number', () => {
  let lines: NumberedLine[] = []
  for (let i = 1; i <= LOG_LINES_MAX + 5; i += 1)
    lines = appendLine(lines, { at: '', stream: 'stdout', text: `${i}` })
  expect(lines).toHaveLength(LOG_LINES_MAX)
  expect(lines[0]).toMatchObject({ text: '6', number: 6 })
  expect(lines.at(-1)).toMatchObject({ number: LOG_LINES_MAX + 5 })
})
