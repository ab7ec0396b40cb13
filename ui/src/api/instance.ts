// Everything that may be asked of one instance. The id is bound once, so no call can reach another instance.
import { queryOptions } from '@tanstack/react-query'
import { http, unwrap } from './client'

/** How many past log lines a fresh view asks for. */
export const LOG_TAIL_LINES = 200

/** The API client of exactly one instance. */
export function instanceApi(id: string) {
  const path = { id }
  const base = `/api/instances/${encodeURIComponent(id)}`
  const chatPath = (session: string) => ({ path: { id, session } })

  return {
    id,
    /** Prefix of every query key about this instance. */
    key: ['instance', id] as const,
    start: () => unwrap(http.POST('/api/instances/{id}/start', { params: { path } })),
    stop: () => unwrap(http.POST('/api/instances/{id}/stop', { params: { path } })),
    restart: () => unwrap(http.POST('/api/instances/{id}/restart', { params: { path } })),
    remove: (data: 'delete' | 'keep') =>
      unwrap(http.DELETE('/api/instances/{id}', { params: { path, query: { data } } })),
    sessions: queryOptions({
      queryKey: ['instance', id, 'sessions'],
      queryFn: ({ signal }) => unwrap(http.GET('/api/instances/{id}/sessions', { params: { path }, signal })),
    }),
    /** `idempotencyKey` makes a repeated send safe: the same key never runs twice. */
    sendMessage: (session: string, text: string, idempotencyKey: string) =>
      unwrap(
        http.POST('/api/instances/{id}/chat/{session}/messages', {
          params: chatPath(session),
          headers: { 'Idempotency-Key': idempotencyKey },
          body: { text },
        }),
      ),
    abort: (session: string) =>
      unwrap(http.POST('/api/instances/{id}/chat/{session}/abort', { params: chatPath(session) })),
    chatStreamUrl: (session: string) => `${base}/chat/${encodeURIComponent(session)}/stream`,
    logStreamUrl: () => `${base}/logs?tail=${LOG_TAIL_LINES}&follow=true`,
  }
}

export type InstanceApi = ReturnType<typeof instanceApi>
