// One way to listen to the hub: an EventSource that comes back by itself, notices a dead connection, and rests while
// nobody looks (a browser allows six connections to one address, shared by all tabs).

/** Without any event for this long the connection counts as dead; the hub pings every 15 s. */
const SILENCE_MS_MAX = 45_000
const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 15_000
/** A connection that lasted this long was a good one: the next failure starts from the shortest wait. */
const STABLE_MS = 5_000
/** A tab hidden for longer than this gives its connection back. */
const HIDDEN_GRACE_MS = 60_000

export type StreamState = 'connecting' | 'live' | 'lost' | 'ended'

export interface StreamOptions {
  url: string
  /** Handlers by event name; each gets the parsed JSON. */
  on: Record<string, (data: unknown) => void>
  onState: (state: StreamState) => void
}

/** How long to wait before try number `attempt` (from 0), in milliseconds: doubling, with up to a quarter of jitter. */
export function retryDelayMs(attempt: number, random = Math.random()): number {
  const delay = Math.min(RETRY_MS_MIN * 2 ** attempt, RETRY_MS_MAX)
  return delay * (1 - random / 4)
}

/** Opens the stream; the returned function ends it for good. */
export function openStream({ url, on, onState }: StreamOptions): () => void {
  let source: EventSource | null = null
  let attempt = 0
  let ended = false
  let openedAt = Infinity
  let retryTimer: number | undefined
  let silenceTimer: number | undefined
  let hiddenTimer: number | undefined

  const close = () => {
    window.clearTimeout(retryTimer)
    window.clearTimeout(silenceTimer)
    source?.close()
    source = null
  }
  const retry = () => {
    close()
    if (Date.now() - openedAt >= STABLE_MS) attempt = 0
    openedAt = Infinity
    // The first failure is often a short blip: say so only when a second try failed too.
    onState(attempt === 0 ? 'connecting' : 'lost')
    retryTimer = window.setTimeout(connect, retryDelayMs(attempt))
    attempt += 1
  }
  const heard = () => {
    window.clearTimeout(silenceTimer)
    silenceTimer = window.setTimeout(retry, SILENCE_MS_MAX)
  }
  const connect = () => {
    close()
    if (ended) return
    const opened = new EventSource(url)
    source = opened
    heard()
    opened.addEventListener('open', () => {
      openedAt = Date.now()
      heard()
      onState('live')
    })
    opened.addEventListener('error', (event) => {
      // The hub may send an event of this name; only one without data is the connection's own.
      if (!(event instanceof MessageEvent)) retry()
    })
    // The hub has said all there is to say.
    opened.addEventListener('end', () => {
      ended = true
      close()
      onState('ended')
    })
    opened.addEventListener('ping', heard)
    for (const [name, handler] of Object.entries(on)) {
      opened.addEventListener(name, (event) => {
        if (!(event instanceof MessageEvent)) return
        heard()
        handler(JSON.parse(event.data as string))
      })
    }
  }
  const onVisibility = () => {
    window.clearTimeout(hiddenTimer)
    if (document.hidden) hiddenTimer = window.setTimeout(close, HIDDEN_GRACE_MS)
    else if (!source && !ended) {
      attempt = 0
      connect()
    }
  }

  document.addEventListener('visibilitychange', onVisibility)
  window.addEventListener('online', onVisibility)
  connect()
  return () => {
    ended = true
    close()
    window.clearTimeout(hiddenTimer)
    document.removeEventListener('visibilitychange', onVisibility)
    window.removeEventListener('online', onVisibility)
  }
}
