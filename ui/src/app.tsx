// The page put together: data client, routes, providers.
import { Tooltip } from '@base-ui/react/tooltip'
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider, type RouterHistory } from '@tanstack/react-router'
import { isUnauthenticated, toFailure } from './api/errors'
import { hubKeys } from './api/hub'
import { makeRouter } from './router'
import { Toasts } from './ui/toast'

const RETRIES_MAX = 2
const TOOLTIP_DELAY_MS = 400

/** Makes one independent page; `history` is the browser's own unless given. */
export function makeApp(history?: RouterHistory) {
  /** The session is over: to the login page, and back here afterwards. */
  const signedOut = () => {
    const inside = router.state.matches.some((match) => match.routeId === '/_app')
    if (!inside) return
    client.setQueryData(hubKeys.session, null)
    void router.navigate({ to: '/login', search: { next: router.state.location.href } })
  }
  const onError = (error: unknown) => {
    if (isUnauthenticated(error)) signedOut()
  }
  const client = new QueryClient({
    queryCache: new QueryCache({
      onError,
      // The session query answers null instead of failing.
      onSuccess: (data, query) => {
        if (query.queryKey[0] === hubKeys.session[0] && data === null) signedOut()
      },
    }),
    mutationCache: new MutationCache({ onError }),
    defaultOptions: {
      queries: {
        retry: (count, error) => count < RETRIES_MAX && toFailure(error).isTransient,
        // What changes is told by the event stream.
        refetchOnWindowFocus: false,
        refetchOnReconnect: false,
      },
    },
  })
  const router = makeRouter(client, history)

  const element = (
    <QueryClientProvider client={client}>
      <Tooltip.Provider delay={TOOLTIP_DELAY_MS}>
        <RouterProvider router={router} />
        <Toasts />
      </Tooltip.Provider>
    </QueryClientProvider>
  )
  return { client, router, element }
}
