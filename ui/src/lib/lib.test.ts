import { describe, expect, it } from 'vitest'
import { formatAgo, formatBytes, formatCost, formatCpus } from './format'
import { isInstanceName, NAME_LEN_MAX } from './name'
import { safeReturnPath } from './returnPath'
import { setupCode, takeSetupCode } from './setupCode'

describe('isInstanceName', () => {
  it.each(['a', '7', 'scout', 'team-1-bot', 'a'.repeat(NAME_LEN_MAX)])('takes %j', (name) => {
    expect(isInstanceName(name)).toBe(true)
  })
  it.each(['', '-a', 'a-', 'A', 'a.b', 'a_b', 'ä', 'a b', 'a/b', '..', 'a'.repeat(NAME_LEN_MAX + 1), 'a\n'])(
    'refuses %j',
    (name) => {
      expect(isInstanceName(name)).toBe(false)
    },
  )
})

describe('safeReturnPath', () => {
  it.each([
    [undefined, '/'],
    ['', '/'],
    ['/i/scout?session=x', '/i/scout?session=x'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['/login?next=/', '/'],
  ])('%j leads to %j', (next, expected) => {
    expect(safeReturnPath(next)).toBe(expected)
  })
})

it('takes the setup code out of the address', () => {
  history.replaceState(null, '', '/setup?x=1#code=once-only')
  takeSetupCode()
  expect(setupCode()).toBe('once-only')
  expect(location.href).toMatch(/\/setup\?x=1$/)
})

it('formats quantities', () => {
  expect([0, 1023, 1536, 2 * 2 ** 30, 512 * 2 ** 20].map(formatBytes)).toEqual([
    '0 B',
    '1023 B',
    '1.5 KiB',
    '2 GiB',
    '512 MiB',
  ])
  expect(formatCpus(1500)).toBe('1.5')
  expect(formatCost(128_400)).toBe('$0.1284')
  const now = Date.parse('2026-01-01T12:00:00Z')
  expect(formatAgo('2026-01-01T11:59:30Z', now)).toBe('just now')
  expect(formatAgo('2026-01-01T11:55:00Z', now)).toBe('5 min. ago')
})
