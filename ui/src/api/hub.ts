// Calls that concern the hub as a whole. Calls about one instance live in `instance.ts`.
import { queryOptions } from '@tanstack/react-query'
import { http, unwrap } from './client'
import { isUnauthenticated } from './errors'
import type { InstanceCreate, ProviderCreate, Session } from './types'

/** Keys of the hub's queries. */
export const hubKeys = {
  session: ['session'],
  setup: ['setup'],
  instances: ['instances'],
  agents: ['agents'],
  providers: ['providers'],
  system: ['system'],
} as const

/** Who is signed in; null when nobody is. */
export const sessionQuery = queryOptions({
  queryKey: hubKeys.session,
  staleTime: Infinity,
  queryFn: async ({ signal }): Promise<Session | null> => {
    try {
      return await unwrap(http.GET('/api/auth/session', { signal }))
    } catch (error) {
      if (isUnauthenticated(error)) return null
      throw error
    }
  },
})

/** Whether this hub still waits for its first owner. */
export const setupQuery = queryOptions({
  queryKey: hubKeys.setup,
  queryFn: ({ signal }) => unwrap(http.GET('/api/setup', { signal })),
})

// Kept fresh by the event stream (`live.ts`), so it never goes stale by itself.
export const instancesQuery = queryOptions({
  queryKey: hubKeys.instances,
  staleTime: Infinity,
  queryFn: ({ signal }) => unwrap(http.GET('/api/instances', { signal })),
})

export const agentsQuery = queryOptions({
  queryKey: hubKeys.agents,
  queryFn: ({ signal }) => unwrap(http.GET('/api/agents', { signal })),
})

export const providersQuery = queryOptions({
  queryKey: hubKeys.providers,
  queryFn: ({ signal }) => unwrap(http.GET('/api/providers', { signal })),
})

export const systemQuery = queryOptions({
  queryKey: hubKeys.system,
  queryFn: ({ signal }) => unwrap(http.GET('/api/system', { signal })),
})

/** Makes the first owner; afterwards this browser is signed in. */
export const setUp = (body: { code: string; name: string; password: string }) =>
  unwrap(http.POST('/api/setup', { body }))

export const logIn = (body: { name: string; password: string }) =>
  unwrap(http.POST('/api/auth/login', { body }))

export const logOut = () => unwrap(http.POST('/api/auth/logout'))

export const createInstance = (body: InstanceCreate) => unwrap(http.POST('/api/instances', { body }))

export const cancelJob = (id: string) =>
  unwrap(http.POST('/api/jobs/{id}/cancel', { params: { path: { id } } }))

export const addProvider = (body: ProviderCreate) => unwrap(http.POST('/api/providers', { body }))

export const removeProvider = (name: string) =>
  unwrap(http.DELETE('/api/providers/{name}', { params: { path: { name } } }))
