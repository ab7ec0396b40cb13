import { lazy, Suspense } from 'react'

const UserMenu = lazy(() => import('./UserMenu'))

/** The user menu, loaded after the page that is wanted. */
export function LazyUserMenu({ compact }: { compact?: boolean }) {
  return (
    <Suspense fallback={<span className={compact ? 'size-8' : 'h-9'} />}>
      <UserMenu compact={compact} />
    </Suspense>
  )
}
