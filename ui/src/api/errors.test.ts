import { describe, expect, it } from 'vitest'
import { ApiFailure, failureFromBody, isUnauthenticated, toFailure } from './errors'

describe('failureFromBody', () => {
  it('reads the one error shape', () => {
    const body = {
      error: { code: 'instance_busy', message: 'Wait.', requestId: 'r1', field: 'name', details: {} },
    }
    expect(failureFromBody(409, body)).toMatchObject({
      status: 409,
      code: 'instance_busy',
      message: 'Wait.',
      field: 'name',
      requestId: 'r1',
    })
  })

  it.each([undefined, null, '', '<html>502</html>', {}, { error: 'bare text' }, { error: { code: 1 } }])(
    'turns %j into a plain sentence',
    (body) => {
      expect(failureFromBody(502, body)).toMatchObject({
        code: 'unexpected',
        message: expect.stringContaining('502'),
      })
    },
  )
})

it('says that the hub is away when nothing answered', () => {
  expect(toFailure(new TypeError('fetch failed'))).toMatchObject({ code: 'network', isTransient: true })
})

it.each([
  [400, false],
  [401, false],
  [429, true],
  [500, false],
  [503, true],
])('status %i may succeed later: %s', (status, transient) => {
  const failure = new ApiFailure({ status, code: 'x', message: 'x' })
  expect(failure.isTransient).toBe(transient)
  expect(isUnauthenticated(failure)).toBe(status === 401)
})
