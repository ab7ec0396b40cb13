import { ArrowDown } from 'lucide-react'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { ChatItem, ChatRun } from '../api/types'
import { t } from '../i18n/t'
import { Button } from '../ui/Button'
import { MessageRow, UserBubble } from './MessageRow'
import type { Outgoing } from './outbox'
import { isBusy, type ChatState } from './state'

/** Nearer to the end than this the view follows what is new. */
const FOLLOW_DISTANCE_PX = 80

const RUN_LABELS: Record<string, string> = {
  queued: t('chat.runQueued'),
  preparing: t('chat.runPreparing'),
  thinking: t('chat.runThinking'),
  answering: t('chat.runAnswering'),
  retrying: t('chat.runRetrying'),
}

interface Props {
  chat: ChatState
  pending: Outgoing[]
  onRetry: (entry: Outgoing) => void
  onDiscard: (entry: Outgoing) => void
}

export function Transcript({ chat, pending, onRetry, onDiscard }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const [following, setFollowing] = useState(true)

  useLayoutEffect(() => {
    if (following && box.current) box.current.scrollTop = box.current.scrollHeight
  })
  // Markdown and fonts arrive late and change heights after the layout above.
  useEffect(() => {
    const element = box.current
    if (!element || !following || typeof ResizeObserver === 'undefined') return
    const observer = new ResizeObserver(() => (element.scrollTop = element.scrollHeight))
    if (element.firstElementChild) observer.observe(element.firstElementChild)
    return () => observer.disconnect()
  }, [following])

  const onScroll = () => {
    const element = box.current
    if (!element) return
    setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < FOLLOW_DISTANCE_PX)
  }

  return (
    <div className="relative min-h-0 flex-1">
      <div
        ref={box}
        onScroll={onScroll}
        role="log"
        aria-live="off"
        aria-label={t('chat.transcript')}
        aria-busy={isBusy(chat.run)}
        tabIndex={0}
        className="h-full overflow-y-auto"
      >
        <div className="mx-auto flex max-w-3xl flex-col gap-4 px-4 py-5">
          {chat.items.map((item) => (
            <MessageRow key={item.id} item={item} />
          ))}
          {pending.map((entry) => (
            <PendingRow key={entry.key} entry={entry} onRetry={onRetry} onDiscard={onDiscard} />
          ))}
          <RunLine chat={chat} />
        </div>
      </div>
      {!following && (
        <div className="pointer-events-none absolute inset-x-0 bottom-2 flex justify-center">
          <Button
            className="pointer-events-auto rounded-full shadow-md"
            onClick={() => setFollowing(true)}
            icon={<ArrowDown size={14} />}
          >
            {t('chat.toLatest')}
          </Button>
        </div>
      )}
      <Announcer chat={chat} />
    </div>
  )
}

function PendingRow({
  entry,
  onRetry,
  onDiscard,
}: Pick<Props, 'onRetry' | 'onDiscard'> & { entry: Outgoing }) {
  const footer =
    entry.status === 'failed' ? (
      <span role="alert" className="flex flex-wrap items-center justify-end gap-2 text-bad">
        {t('chat.sendFailed', { message: entry.error ?? '' })}
        <Button size="small" onClick={() => onRetry(entry)}>
          {t('action.retry')}
        </Button>
        <Button size="small" look="quiet" onClick={() => onDiscard(entry)}>
          {t('chat.discard')}
        </Button>
      </span>
    ) : (
      t('chat.sending')
    )
  return <UserBubble text={entry.text} footer={footer} faded={entry.status !== 'failed'} />
}

function RunLine({ chat }: { chat: ChatState }) {
  const { run, items } = chat
  if (!run) return null
  if (isBusy(run)) {
    // The growing answer speaks for itself.
    if (run.phase === 'answering' && items.at(-1)?.streaming) return null
    return (
      <p className="flex items-center gap-2 text-xs text-muted">
        <span className="dots" aria-hidden>
          <i />
          <i />
          <i />
        </span>
        {RUN_LABELS[run.phase] ?? run.phase}
        {run.message && <span>· {run.message}</span>}
      </p>
    )
  }
  if (run.phase === 'aborted') return <p className="text-xs text-muted">{t('chat.runAborted')}</p>
  const alreadyTold = items.at(-1)?.role === 'error'
  if (run.phase === 'failed' && !alreadyTold) {
    return (
      <p role="note" className="rounded-lg border border-bad/30 bg-bad-soft px-3 py-2 text-bad">
        {run.message ?? t('chat.runFailed')}
      </p>
    )
  }
  return null
}

/** Tells screen readers the finished answer once, instead of each of its pieces. */
function Announcer({ chat: { run, items } }: { chat: ChatState }) {
  // What was over before this page was opened is no news.
  const [oldRun] = useState(isBusy(run) ? null : run?.id)
  const isNews = run !== null && !isBusy(run) && run.id !== oldRun
  return (
    <div aria-live="polite" className="sr-only">
      {isNews && endingOf(run, items)}
    </div>
  )
}

function endingOf(run: ChatRun, items: ChatItem[]): string {
  if (run.phase === 'failed') return run.message ?? t('chat.runFailed')
  if (run.phase === 'aborted') return t('chat.runAborted')
  return items.findLast((item) => item.role === 'assistant')?.text ?? t('chat.runDone')
}
