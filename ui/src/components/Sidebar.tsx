import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { LayoutGrid, Search, Settings } from 'lucide-react'
import { instancesQuery } from '../api/hub'
import { t } from '../i18n/t'
import { searchInstances } from '../instances/can'
import { Logo } from '../ui/blocks'
import { PhaseDot } from './PhaseBadge'
import { LazyUserMenu as UserMenu } from './LazyUserMenu'

const ITEM =
  'flex h-8 items-center gap-2.5 rounded-lg px-2.5 text-muted hover:bg-hover hover:text-text aria-[current=page]:bg-accent-soft aria-[current=page]:font-medium aria-[current=page]:text-text'

/** Where everything is, on wide screens. */
export function Sidebar({ onSwitch }: { onSwitch: () => void }) {
  const { data } = useQuery(instancesQuery)
  const instances = searchInstances(data?.instances ?? [], '')
  return (
    <nav
      aria-label={t('app.name')}
      className="flex w-58 shrink-0 flex-col gap-4 border-r border-line bg-sunken px-3 py-3 max-lg:hidden"
    >
      <Link to="/" className="flex items-center gap-2 rounded-lg px-2 py-1 text-[0.95rem] font-semibold">
        <Logo />
        {t('app.name')}
      </Link>
      <button
        type="button"
        onClick={onSwitch}
        className="flex h-8 cursor-pointer items-center gap-2 rounded-lg border border-line-strong bg-raised px-2.5 text-xs text-muted shadow-xs hover:text-text"
      >
        <Search size={14} aria-hidden />
        <span className="flex-1 text-left">{t('nav.switch')}</span>
        <kbd className="rounded border border-line px-1 font-sans text-[0.65rem]">Ctrl K</kbd>
      </button>
      <div className="flex min-h-0 flex-1 flex-col gap-0.5">
        <Link to="/" activeOptions={{ exact: true }} className={ITEM}>
          <LayoutGrid size={15} aria-hidden />
          {t('nav.instances')}
        </Link>
        <ul className="-mx-1 mt-1 flex min-h-0 flex-1 flex-col gap-0.5 overflow-y-auto px-1">
          {instances.map((instance) => (
            <li key={instance.id}>
              <Link to="/i/$name" params={{ name: instance.name }} className={ITEM}>
                <span className="flex w-[15px] justify-center">
                  <PhaseDot phase={instance.phase} />
                </span>
                <span className="truncate">{instance.displayName || instance.name}</span>
                <span className="sr-only">{t(`phase.${instance.phase}`)}</span>
              </Link>
            </li>
          ))}
        </ul>
      </div>
      <div className="flex flex-col gap-0.5">
        <Link to="/settings" className={ITEM}>
          <Settings size={15} aria-hidden />
          {t('nav.settings')}
        </Link>
        <UserMenu />
      </div>
    </nav>
  )
}
