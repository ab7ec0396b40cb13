import { expect, it, vi } from 'vitest'
import { instanceApi } from './instance'

const ID = 'ins_0190'

it('sends every request to the instance that it is bound to', async () => {
  const asked: string[] = []
  vi.spyOn(globalThis, 'fetch').mockImplementation((request) => {
    asked.push(new URL((request as Request).url).pathname)
    return Promise.resolve(Response.json({}))
  })
  const api = instanceApi(ID)
  const calls: Record<string, () => Promise<unknown> | string> = {
    start: api.start,
    stop: api.stop,
    restart: api.restart,
    remove: () => api.remove('keep'),
    sendMessage: () => api.sendMessage('main', 'hi', 'key'),
    abort: () => api.abort('main'),
    chatStreamUrl: () => api.chatStreamUrl('main'),
    logStreamUrl: api.logStreamUrl,
  }
  // Whoever adds a call to the client adds it here.
  const functions = Object.entries(api).filter(([, value]) => typeof value === 'function')
  expect(functions.map(([name]) => name).toSorted()).toEqual(Object.keys(calls).toSorted())

  for (const call of Object.values(calls)) {
    const answer = call()
    if (typeof answer === 'string') asked.push(answer)
    else await answer
  }
  expect(asked).toHaveLength(functions.length)
  for (const path of asked) expect(path).toMatch(new RegExp(`^/api/instances/${ID}(/|$)`))
  expect(api.sessions.queryKey).toContain(ID)
})

it('sends the idempotency key with a message', async () => {
  const fetch = vi.spyOn(globalThis, 'fetch').mockResolvedValue(Response.json({ runId: 'r' }))
  await instanceApi(ID).sendMessage('a/b', 'hi', 'key-1')
  const request = fetch.mock.calls[0]?.[0] as Request
  expect(request.headers.get('Idempotency-Key')).toBe('key-1')
  expect(request.url).toContain('/chat/a%2Fb/messages')
})
