// Small pieces that say in what state a part of the page is.
import { CircleAlert, LoaderCircle } from 'lucide-react'
import type { ReactNode } from 'react'
import { toFailure } from '../api/errors'
import { t } from '../i18n/t'
import { Button } from './Button'

export function Empty(props: { icon?: ReactNode; title: string; body?: ReactNode; children?: ReactNode }) {
  return (
    <div className="mx-auto flex max-w-md flex-col items-center gap-2 px-4 py-14 text-center">
      {props.icon && <div className="mb-1 rounded-2xl bg-accent-soft p-3 text-accent">{props.icon}</div>}
      <h2 className="text-base font-semibold break-words">{props.title}</h2>
      {props.body && <p className="text-muted">{props.body}</p>}
      {props.children && <div className="mt-3 flex flex-col items-center gap-4">{props.children}</div>}
    </div>
  )
}

export function Loading() {
  return (
    <div role="status" className="appear-late flex justify-center py-14 text-muted">
      <LoaderCircle size={20} className="animate-spin" aria-hidden />
      <span className="sr-only">{t('app.loading')}</span>
    </div>
  )
}

export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const failure = toFailure(error)
  return (
    <div role="alert" className="mx-auto flex max-w-md flex-col items-center gap-2 px-4 py-14 text-center">
      <CircleAlert size={22} className="text-bad" aria-hidden />
      <h2 className="text-base font-semibold">{t('error.title')}</h2>
      <p className="text-muted">{failure.message}</p>
      {failure.requestId && (
        <p className="font-mono text-xs text-muted">{t('error.request', { id: failure.requestId })}</p>
      )}
      {onRetry && (
        <Button className="mt-2" onClick={onRetry}>
          {t('action.retry')}
        </Button>
      )}
    </div>
  )
}

/** What went wrong with a form as a whole. */
export function FormError({ error }: { error: unknown }) {
  if (!error) return null
  const failure = toFailure(error)
  return (
    <p role="alert" className="rounded-lg border border-bad/30 bg-bad-soft px-3 py-2 text-bad">
      {failure.message}
    </p>
  )
}

export function Banner({ tone, children }: { tone: 'warn' | 'info'; children: ReactNode }) {
  const look = tone === 'warn' ? 'bg-warn-soft text-warn' : 'bg-accent-soft text-accent'
  return (
    <div
      role="status"
      className={`flex flex-wrap items-center justify-center gap-x-3 px-4 py-1.5 text-center text-xs ${look}`}
    >
      {children}
    </div>
  )
}

export function Section(props: { title: string; body?: string; action?: ReactNode; children: ReactNode }) {
  return (
    <section aria-label={props.title} className="flex flex-col gap-3">
      <div className="flex flex-wrap items-end justify-between gap-2">
        <div>
          <h2 className="font-semibold">{props.title}</h2>
          {props.body && <p className="text-xs text-muted">{props.body}</p>}
        </div>
        {props.action}
      </div>
      {props.children}
    </section>
  )
}

export function Card({ children, className = '' }: { children: ReactNode; className?: string }) {
  return <div className={`rounded-xl border border-line bg-surface shadow-xs ${className}`}>{children}</div>
}

export function Logo({ size = 22 }: { size?: number }) {
  return <img src="/favicon.svg" width={size} height={size} alt="" className="rounded-[25%]" />
}
