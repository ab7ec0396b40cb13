import { ScrollText } from 'lucide-react'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import { openStream, type StreamState } from '../api/stream'
import type { LogLine, StreamTrouble } from '../api/types'
import { useInstanceScope } from '../components/instanceScope'
import { t } from '../i18n/t'
import { formatClock, formatCount, formatDateTime } from '../lib/format'
import { appendLine, type NumberedLine } from '../instances/logLines'
import { Banner, Empty } from '../ui/blocks'

/** Nearer to the end than this the view follows new lines. */
const FOLLOW_DISTANCE_PX = 40

export function LogsPage() {
  const { instance } = useInstanceScope()
  // Output ends with the process; another start has its own.
  return <LogView key={instance.startedAt ?? ''} />
}

function LogView() {
  const { api, instance } = useInstanceScope()
  const { lines, state, trouble } = useLogLines(api.logStreamUrl())
  const [filter, setFilter] = useState('')
  const [follow, setFollow] = useState(true)
  const box = useRef<HTMLDivElement>(null)

  const wanted = filter.toLowerCase()
  const shown = wanted ? lines.filter((line) => line.text.toLowerCase().includes(wanted)) : lines
  useLayoutEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight
  })
  const onScroll = () => {
    const element = box.current
    if (element)
      setFollow(element.scrollHeight - element.scrollTop - element.clientHeight < FOLLOW_DISTANCE_PX)
  }

  return (
    <div className="flex h-full min-h-0 flex-col">
      {state === 'lost' && <Banner tone="warn">{t('logs.lost')}</Banner>}
      {trouble && <Banner tone="warn">{trouble.message}</Banner>}
      <div className="flex items-center gap-3 border-b border-line px-4 py-1.5 sm:px-6">
        <input
          type="search"
          aria-label={t('logs.filter')}
          placeholder={t('logs.filter')}
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
          className="h-8 w-56 min-w-0 rounded-lg border border-line-strong bg-raised px-2.5 text-xs shadow-xs placeholder:text-muted"
        />
        <span className="text-xs whitespace-nowrap text-muted tabular-nums">
          {t('logs.count', { count: formatCount(shown.length) })}
        </span>
        <label className="ml-auto flex cursor-pointer items-center gap-2 text-xs">
          <input
            type="checkbox"
            checked={follow}
            onChange={(event) => setFollow(event.target.checked)}
            className="accent-accent"
          />
          {t('logs.follow')}
        </label>
      </div>
      <div
        ref={box}
        role="log"
        aria-live="off"
        aria-label={t('logs.title', { name: instance.name })}
        tabIndex={0}
        onScroll={onScroll}
        className="min-h-0 flex-1 overflow-auto bg-sunken py-2 font-mono text-xs leading-5"
      >
        {shown.map((line) => (
          <div key={line.number} className="flex gap-3 px-4 hover:bg-hover sm:px-6">
            <time
              dateTime={line.at}
              title={formatDateTime(line.at)}
              className="shrink-0 text-muted select-none"
            >
              {formatClock(line.at)}
            </time>
            <span
              className={`min-w-0 flex-1 break-words whitespace-pre-wrap ${line.stream === 'stderr' ? 'text-warn' : ''}`}
            >
              {line.text}
            </span>
          </div>
        ))}
        {lines.length === 0 && (state === 'live' || state === 'ended') && (
          <Empty
            icon={<ScrollText size={24} aria-hidden />}
            title={t('logs.empty')}
            body={t('logs.emptyBody')}
          />
        )}
      </div>
    </div>
  )
}

function useLogLines(url: string) {
  const [lines, setLines] = useState<NumberedLine[]>([])
  const [state, setState] = useState<StreamState>('connecting')
  const [trouble, setTrouble] = useState<StreamTrouble | null>(null)
  useEffect(() => {
    // Lines come in bursts: draw once per frame, not once per line.
    let waiting: LogLine[] = []
    let frame = 0
    const flush = () => {
      const batch = waiting
      waiting = []
      frame = 0
      setLines((known) => batch.reduce(appendLine, known))
    }
    const stop = openStream({
      url,
      onState: (next) => {
        setState(next)
        // Each connection begins with the recent past again.
        if (next === 'live') {
          waiting = []
          setLines([])
          setTrouble(null)
        }
      },
      on: {
        error: (data) => setTrouble(data as StreamTrouble),
        line: (data) => {
          waiting.push(data as LogLine)
          frame ||= requestAnimationFrame(flush)
        },
      },
    })
    return () => {
      stop()
      cancelAnimationFrame(frame)
    }
  }, [url])
  return { lines, state, trouble }
}
