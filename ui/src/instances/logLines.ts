// The part of an instance's output that the page keeps.
import type { LogLine } from '../api/types'

/** The most lines kept; older ones are dropped. */
export const LOG_LINES_MAX = 2_000

export interface NumberedLine extends LogLine {
  /** Counts up; stable while the line is shown. */
  number: number
}

export function appendLine(lines: NumberedLine[], line: LogLine): NumberedLine[] {
  const number = (lines.at(-1)?.number ?? 0) + 1
  const kept = lines.length >= LOG_LINES_MAX ? lines.slice(lines.length - LOG_LINES_MAX + 1) : lines
  return [...kept, { ...line, number }]
}
