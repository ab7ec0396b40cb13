// One error type for everything that can go wrong between the page and the hub.
import { t } from '../i18n/t'

/** A refused or failed request. `message` is for people; `code` is stable. */
export class ApiFailure extends Error {
  readonly status: number
  readonly code: string
  readonly field: string | null
  readonly requestId: string | null

  constructor(init: {
    status: number
    code: string
    message: string
    field?: string | null
    requestId?: string | null
  }) {
    super(init.message)
    this.name = 'ApiFailure'
    this.status = init.status
    this.code = init.code
    this.field = init.field ?? null
    this.requestId = init.requestId ?? null
  }

  /** Whether the same request may succeed later without any change. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 502
  }
}

/** Reads the hub's error body; anything else (a proxy's page, nothing at all) becomes a plain sentence. */
export function failureFromBody(status: number, body: unknown): ApiFailure {
  const detail = isRecord(body) && isRecord(body.error) ? body.error : null
  if (detail && typeof detail.code === 'string' && typeof detail.message === 'string') {
    return new ApiFailure({
      status,
      code: detail.code,
      message: detail.message,
      field: typeof detail.field === 'string' ? detail.field : null,
      requestId: typeof detail.requestId === 'string' ? detail.requestId : null,
    })
  }
  return new ApiFailure({ status, code: 'unexpected', message: t('error.unexpected', { status }) })
}

/** Whatever was thrown, as an `ApiFailure`. */
export function toFailure(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error
  return new ApiFailure({ status: 0, code: 'network', message: t('error.network') })
}

/** Whether the failure means "sign in again". */
export function isUnauthenticated(error: unknown): boolean {
  return error instanceof ApiFailure && error.status === 401
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
