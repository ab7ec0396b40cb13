// The typed fetch client. Same-origin only; the session cookie travels by itself.
import createClient from 'openapi-fetch'
import { failureFromBody, toFailure } from './errors'
import type { paths } from './schema'

export const http = createClient<paths>({
  baseUrl: typeof location === 'undefined' ? undefined : location.origin,
  headers: { Accept: 'application/json' },
  // Looked up at each call, so that a test can put its own in place.
  fetch: (request) => globalThis.fetch(request),
})

interface Result<T> {
  data?: T
  error?: unknown
  response: Response
}

/** The body of a successful answer; throws `ApiFailure` otherwise. */
export async function unwrap<T>(call: Promise<Result<T>>): Promise<T> {
  let result: Result<T>
  try {
    result = await call
  } catch (error) {
    throw toFailure(error)
  }
  if (!result.response.ok) throw failureFromBody(result.response.status, result.error)
  return result.data as T
}
