import { Tooltip } from '@base-ui/react/tooltip'
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { isUnauthenticated, toFailure } from './api/errors'
import { hubKeys } from './api/hub'
import { takeSetupCode } from './lib/setupCode'
import { makeRouter } from './router'
import './styles.css'
import { applyTheme, readTheme } from './theme'
import { Toasts } from './ui/toast'

const RETRIES_MAX = 2
const TOOLTIP_DELAY_MS = 400

applyTheme(readTheme())
// Before the router reads the address.
takeSetupCode()

/** The session is over: to the login page, and back here afterwards. */
function onFailure(error: unknown) {
  if (!isUnauthenticated(error) || ['/login', '/setup'].includes(location.pathname)) return
  signedOut()
}

function signedOut() {
  client.setQueryData(hubKeys.session, null)
  void router.navigate({ to: '/login', search: { next: location.pathname + location.search } })
}

const client = new QueryClient({
  queryCache: new QueryCache({
    onError: onFailure,
    // The session query answers null instead of failing.
    onSuccess: (data, query) => {
      const isSession = query.queryKey[0] === hubKeys.session[0]
      if (isSession && data === null && router.state.matches.some((match) => match.routeId === '/_app'))
        signedOut()
    },
  }),
  mutationCache: new MutationCache({ onError: onFailure }),
  defaultOptions: {
    queries: {
      retry: (count, error) => count < RETRIES_MAX && toFailure(error).isTransient,
      // What changes is told by the event stream.
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
    },
  },
})
const router = makeRouter(client)

const element = document.getElementById('root')
if (!element) throw new Error('index.html has no #root')
createRoot(element).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <Tooltip.Provider delay={TOOLTIP_DELAY_MS}>
        <RouterProvider router={router} />
        <Toasts />
      </Tooltip.Provider>
    </QueryClientProvider>
  </StrictMode>,
)
