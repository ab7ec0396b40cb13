import { useSyncExternalStore } from 'react'
import { formatAgo, formatDateTime } from '../lib/format'

const TICK_MS = 30_000

// One clock for all the times on the page.
let now = Date.now()
const listeners = new Set<() => void>()
let timer: number | undefined
function subscribe(listener: () => void) {
  listeners.add(listener)
  now = Date.now()
  timer ??= window.setInterval(() => {
    now = Date.now()
    for (const each of listeners) each()
  }, TICK_MS)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) {
      window.clearInterval(timer)
      timer = undefined
    }
  }
}

/** A moment as `5 min. ago`, the exact time on hover. */
export function RelativeTime({ at }: { at: string }) {
  const current = useSyncExternalStore(subscribe, () => now)
  return (
    <time dateTime={at} title={formatDateTime(at)}>
      {formatAgo(at, current)}
    </time>
  )
}
