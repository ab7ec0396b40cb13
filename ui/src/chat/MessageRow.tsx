import { Brain, ChevronRight, CircleAlert, Info, Wrench } from 'lucide-react'
import { memo, type ReactNode } from 'react'
import type { ChatItem } from '../api/types'
import { t } from '../i18n/t'
import { RelativeTime } from '../ui/RelativeTime'
import { Markdown } from './Markdown'

/** One entry of the conversation. */
export const MessageRow = memo(function MessageRow({ item }: { item: ChatItem }) {
  switch (item.role) {
    case 'user':
      return <UserBubble text={item.text} footer={item.at && <RelativeTime at={item.at} />} />
    case 'assistant':
      return (
        <article aria-label={t('chat.agent')} className="min-w-0 pr-2">
          <Markdown text={item.text} growing={item.streaming} />
          {item.streaming && <span className="caret" aria-hidden />}
        </article>
      )
    case 'thinking':
      return (
        <Folded
          icon={<Brain size={14} />}
          label={t('chat.thinking')}
          active={item.streaming}
          text={item.text}
        />
      )
    case 'tool': {
      const label = item.tool ? t('chat.toolUsed', { tool: item.tool }) : t('chat.toolUnnamed')
      return <Folded icon={<Wrench size={14} />} label={label} active={item.streaming} text={item.text} />
    }
    case 'error':
      return (
        <p role="note" className="flex gap-2 rounded-lg border border-bad/30 bg-bad-soft px-3 py-2 text-bad">
          <CircleAlert size={16} className="mt-0.5 shrink-0" aria-label={t('chat.error')} />
          <span className="min-w-0 break-words whitespace-pre-wrap">{item.text}</span>
        </p>
      )
    case 'system':
      return (
        <p className="flex items-start gap-2 text-xs text-muted">
          <Info size={14} className="mt-0.5 shrink-0" aria-label={t('chat.system')} />
          <span className="min-w-0 break-words whitespace-pre-wrap">{item.text}</span>
        </p>
      )
  }
})

/** What the person said, also while it is still on its way. */
export function UserBubble({ text, footer, faded }: { text: string; footer?: ReactNode; faded?: boolean }) {
  return (
    <article aria-label={t('chat.you')} className="flex flex-col items-end gap-1 pl-8">
      <p
        className={`max-w-full rounded-2xl rounded-br-md bg-accent-soft px-3.5 py-2 break-words whitespace-pre-wrap ${faded ? 'opacity-60' : ''}`}
      >
        {text}
      </p>
      {footer && <div className="px-1 text-xs text-muted">{footer}</div>}
    </article>
  )
}

function Folded(props: { icon: ReactNode; label: string; active: boolean; text: string }) {
  return (
    <details className="group min-w-0 text-sm">
      <summary className="inline-flex cursor-pointer list-none items-center gap-1.5 rounded-md py-0.5 pr-2 text-xs text-muted select-none hover:text-text">
        <ChevronRight size={14} className="transition-transform group-open:rotate-90" aria-hidden />
        <span aria-hidden>{props.icon}</span>
        <span className={props.active ? 'pulse' : undefined}>{props.label}</span>
      </summary>
      <div
        tabIndex={0}
        role="group"
        aria-label={props.label}
        className="mt-1 max-h-72 overflow-auto rounded-lg border border-line bg-sunken px-3 py-2 font-mono text-xs break-words whitespace-pre-wrap text-muted"
      >
        {props.text}
      </div>
    </details>
  )
}
