// Numbers and times as people read them.

const LOCALE = 'en'
const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
const TIME_STEPS: [Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: 'auto', style: 'short' })
const absolute = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'medium' })
const clock = new Intl.DateTimeFormat(LOCALE, { timeStyle: 'medium', hour12: false })
const compact = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1 })
const whole = new Intl.NumberFormat(LOCALE)
const money = new Intl.NumberFormat(LOCALE, { style: 'currency', currency: 'USD', maximumFractionDigits: 4 })

/** `2 GiB`, `1.5 GiB`, `512 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit + 1 < BYTE_UNITS.length) {
    value /= 1024
    unit += 1
  }
  return `${Number(value.toFixed(value >= 100 ? 0 : 1))} ${BYTE_UNITS[unit]}`
}

/** `just now`, `5 min. ago`. */
export function formatAgo(iso: string, nowMs: number): string {
  const seconds = (Date.parse(iso) - nowMs) / 1000
  for (const [unit, size] of TIME_STEPS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit)
  }
  return 'just now'
}

export const formatDateTime = (iso: string) => absolute.format(new Date(iso))
export const formatClock = (iso: string) => clock.format(new Date(iso))
export const formatCount = (count: number) => whole.format(count)
export const formatCompact = (count: number) => compact.format(count)
/** Millionths of a US dollar as dollars. */
export const formatCost = (micros: number) => money.format(micros / 1e6)
/** Thousandths of a cpu as cpus. */
export const formatCpus = (milli: number) => String(milli / 1000)
