import { Link } from '@tanstack/react-router'
import { Search, Settings } from 'lucide-react'
import { t } from '../i18n/t'
import { Button } from '../ui/Button'
import { Logo } from '../ui/blocks'
import { LazyUserMenu as UserMenu } from './LazyUserMenu'

/** Where everything is, on narrow screens. */
export function TopBar({ onSwitch }: { onSwitch: () => void }) {
  return (
    <nav
      aria-label={t('app.name')}
      className="flex h-12 shrink-0 items-center gap-1 border-b border-line bg-sunken px-3 lg:hidden"
    >
      <Link to="/" className="mr-auto flex items-center gap-2 rounded-lg py-1 pr-2 font-semibold">
        <Logo />
        {t('app.name')}
      </Link>
      <Button look="quiet" label={t('nav.switch')} icon={<Search size={17} />} onClick={onSwitch} />
      <Link
        to="/settings"
        aria-label={t('nav.settings')}
        className="inline-flex size-8 items-center justify-center rounded-lg text-muted hover:bg-hover hover:text-text"
      >
        <Settings size={17} aria-hidden />
      </Link>
      <UserMenu compact />
    </nav>
  )
}
