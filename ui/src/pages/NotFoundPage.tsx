import { Link } from '@tanstack/react-router'
import { SearchX } from 'lucide-react'
import { t } from '../i18n/t'
import { Empty } from '../ui/blocks'

export function NotFoundPage() {
  return (
    <Empty icon={<SearchX size={24} aria-hidden />} title={t('notFound.title')} body={t('notFound.body')}>
      <Link to="/" className="text-accent underline">
        {t('notFound.back')}
      </Link>
    </Empty>
  )
}

/** Shown when a page's own code failed. */
export function CrashPage({ error }: { error: unknown }) {
  return (
    <Empty title={t('error.crashTitle')} body={t('error.crashBody')}>
      <pre className="max-w-full overflow-x-auto rounded-lg bg-sunken p-3 text-left text-xs">
        {String(error)}
      </pre>
      <button
        type="button"
        className="cursor-pointer text-accent underline"
        onClick={() => location.reload()}
      >
        {t('action.reload')}
      </button>
    </Empty>
  )
}
