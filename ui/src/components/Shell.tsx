import { useQueryClient } from '@tanstack/react-query'
import { Outlet, useLocation } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from 'react'
import { followHub } from '../api/live'
import type { StreamState } from '../api/stream'
import { t } from '../i18n/t'
import { Banner } from '../ui/blocks'
import { HubStateContext } from './hubState'
import { Sidebar } from './Sidebar'
import { TopBar } from './TopBar'

const Palette = lazy(() => import('./Palette'))

/** The frame around every page of a signed-in person. Holds the one connection for events. */
export function Shell() {
  const client = useQueryClient()
  const [stream, setStream] = useState<StreamState>('connecting')
  const [upgraded, setUpgraded] = useState(false)
  const [switching, setSwitching] = useState(false)

  useEffect(() => followHub(client, { onState: setStream, onUpgrade: () => setUpgraded(true) }), [client])
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (
        event.key.toLowerCase() !== 'k' ||
        !(event.ctrlKey || event.metaKey) ||
        event.altKey ||
        event.shiftKey
      )
        return
      event.preventDefault()
      setSwitching((open) => !open)
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [])

  useFocusOnNavigation()

  const state = useMemo(() => ({ stream, upgraded }), [stream, upgraded])
  const openPalette = () => setSwitching(true)
  return (
    <HubStateContext value={state}>
      <a
        href="#main"
        className="sr-only z-80 rounded-lg bg-accent px-3 py-2 text-on-accent focus:not-sr-only focus:absolute focus:top-2 focus:left-2"
      >
        {t('app.skip')}
      </a>
      <div className="flex h-dvh flex-col lg:flex-row">
        <Sidebar onSwitch={openPalette} />
        <TopBar onSwitch={openPalette} />
        <div className="flex min-h-0 min-w-0 flex-1 flex-col">
          {stream === 'lost' && <Banner tone="warn">{t('hub.lost')}</Banner>}
          {upgraded && (
            <Banner tone="info">
              {t('hub.upgraded')}
              <button
                type="button"
                className="cursor-pointer font-medium underline"
                onClick={() => window.location.reload()}
              >
                {t('action.reload')}
              </button>
            </Banner>
          )}
          <main
            id="main"
            tabIndex={-1}
            aria-label={t('app.main')}
            className="min-h-0 flex-1 overflow-y-auto outline-none"
          >
            <Outlet />
          </main>
        </div>
      </div>
      {switching && (
        <Suspense>
          <Palette onClose={() => setSwitching(false)} />
        </Suspense>
      )}
    </HubStateContext>
  )
}

/** Another page begins at its top, for keyboards and screen readers too. */
function useFocusOnNavigation() {
  const { pathname } = useLocation()
  const last = useRef(pathname)
  useEffect(() => {
    if (last.current === pathname) return
    last.current = pathname
    const main = document.getElementById('main')
    // A page may already have put the focus where it belongs.
    if (main && !main.contains(document.activeElement)) main.focus()
  }, [pathname])
}
