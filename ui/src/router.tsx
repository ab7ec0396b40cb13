// All pages and their addresses.
import type { QueryClient } from '@tanstack/react-query'
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
  useRouter,
  type ErrorComponentProps,
  type RouterHistory,
} from '@tanstack/react-router'
import { instancesQuery, sessionQuery, setupQuery } from './api/hub'
import { Shell } from './components/Shell'
import { ChatPage } from './pages/ChatPage'
import { InstancePage } from './pages/InstancePage'
import { InstancesPage } from './pages/InstancesPage'
import { LoginPage } from './pages/LoginPage'
import { CrashPage, NotFoundPage } from './pages/NotFoundPage'
import { Failure, Loading } from './ui/blocks'
import { ApiFailure } from './api/errors'

interface Context {
  client: QueryClient
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined

const root = createRootRouteWithContext<Context>()({ notFoundComponent: NotFoundPage })

const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  component: lazyRouteComponent(() => import('./pages/SetupPage'), 'SetupPage'),
})

const login = createRoute({
  getParentRoute: () => root,
  path: '/login',
  validateSearch: (search): { next?: string } => ({ next: text(search.next) }),
  beforeLoad: async ({ context: { client } }) => {
    if (await client.ensureQueryData(sessionQuery)) throw redirect({ to: '/' })
    if ((await client.fetchQuery(setupQuery)).required) throw redirect({ to: '/setup' })
  },
  component: LoginPage,
})

const app = createRoute({
  getParentRoute: () => root,
  id: '_app',
  beforeLoad: async ({ context: { client }, location }) => {
    if (await client.ensureQueryData(sessionQuery)) return
    const next = location.href === '/' ? undefined : location.href
    throw redirect({ to: '/login', search: { next } })
  },
  loader: ({ context: { client } }) => void client.prefetchQuery(instancesQuery),
  component: Shell,
})

const instances = createRoute({
  getParentRoute: () => app,
  path: '/',
  validateSearch: (search): { q?: string } => ({ q: text(search.q) }),
  component: InstancesPage,
})

const instance = createRoute({ getParentRoute: () => app, path: '/i/$name', component: InstancePage })

const chat = createRoute({
  getParentRoute: () => instance,
  path: '/',
  validateSearch: (search): { session?: string } => ({ session: text(search.session) }),
  component: ChatPage,
})

const logs = createRoute({
  getParentRoute: () => instance,
  path: '/logs',
  component: lazyRouteComponent(() => import('./pages/LogsPage'), 'LogsPage'),
})

const details = createRoute({
  getParentRoute: () => instance,
  path: '/details',
  component: lazyRouteComponent(() => import('./pages/DetailsPage'), 'DetailsPage'),
})

const settings = createRoute({
  getParentRoute: () => app,
  path: '/settings',
  component: lazyRouteComponent(() => import('./pages/SettingsPage'), 'SettingsPage'),
})

const routeTree = root.addChildren([
  setup,
  login,
  app.addChildren([instances, instance.addChildren([chat, logs, details]), settings]),
])

export function makeRouter(client: QueryClient, history?: RouterHistory) {
  return createRouter({
    routeTree,
    history,
    context: { client },
    defaultPreload: 'intent',
    defaultPendingComponent: Loading,
    // Query has its own cache; the router must not keep a second one.
    defaultPreloadStaleTime: 0,
    defaultErrorComponent: ErrorPage,
  })
}

function ErrorPage({ error }: ErrorComponentProps) {
  const router = useRouter()
  if (!(error instanceof ApiFailure)) return <CrashPage error={error} />
  return <Failure error={error} onRetry={() => void router.invalidate()} />
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>
  }
}
