import { Menu } from '@base-ui/react/menu'
import { useQuery } from '@tanstack/react-query'
import { Check, LogOut } from 'lucide-react'
import { useState } from 'react'
import { sessionQuery } from '../api/hub'
import { t } from '../i18n/t'
import { readTheme, setTheme, type Theme } from '../theme'
import { useLogOut } from './useLogOut'

const THEMES: Theme[] = ['system', 'light', 'dark']
const ITEM =
  'flex h-8 cursor-pointer items-center gap-2 rounded-md px-2 outline-none select-none data-highlighted:bg-hover'

/** Theme and account. */
export default function UserMenu({ compact }: { compact?: boolean }) {
  const { data: session } = useQuery(sessionQuery)
  const [theme, keepTheme] = useState(readTheme)
  const logOut = useLogOut()
  const name = session?.user.name ?? ''
  return (
    <Menu.Root>
      <Menu.Trigger
        aria-label={t('settings.account')}
        className={`flex cursor-pointer items-center gap-2.5 rounded-lg text-muted hover:bg-hover hover:text-text ${compact ? 'size-8 justify-center' : 'h-9 px-2'}`}
      >
        <span
          aria-hidden
          className="flex size-5.5 items-center justify-center rounded-full bg-accent text-[0.65rem] font-semibold text-on-accent uppercase"
        >
          {name.slice(0, 1) || '?'}
        </span>
        {!compact && <span className="truncate">{name}</span>}
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner
          sideOffset={6}
          align="end"
          side={compact ? 'bottom' : 'top'}
          className="z-60 outline-none"
        >
          <Menu.Popup className="pop min-w-48 rounded-xl border border-line bg-surface p-1 shadow-lg outline-none">
            <Menu.Group>
              <Menu.GroupLabel className="px-2 pt-1.5 pb-1 text-xs text-muted">
                {t('theme.label')}
              </Menu.GroupLabel>
              <Menu.RadioGroup
                value={theme}
                onValueChange={(value: Theme) => {
                  setTheme(value)
                  keepTheme(value)
                }}
              >
                {THEMES.map((value) => (
                  <Menu.RadioItem key={value} value={value} className={ITEM}>
                    <span className="flex-1">{t(`theme.${value}`)}</span>
                    <Menu.RadioItemIndicator>
                      <Check size={14} aria-hidden />
                    </Menu.RadioItemIndicator>
                  </Menu.RadioItem>
                ))}
              </Menu.RadioGroup>
            </Menu.Group>
            <Menu.Separator className="mx-1 my-1 h-px bg-line" />
            <Menu.Item className={ITEM} onClick={() => logOut.mutate()}>
              <LogOut size={14} className="text-muted" aria-hidden />
              {t('settings.logout')}
            </Menu.Item>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  )
}
