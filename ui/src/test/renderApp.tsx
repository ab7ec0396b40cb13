// The whole page in a test, talking to the mock hub over real HTTP.
import { createMemoryHistory } from '@tanstack/react-router'
import { act, render } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished, vi } from 'vitest'
import { MockHub } from '../../mock/hub.ts'
import { handle } from '../../mock/routes.ts'
import { makeApp } from '../app'
import { FakeEventSource } from './fakeEventSource'

export interface Sent {
  method: string
  path: string
  body: string
}

/** Sends an event on every open stream whose address contains `part`. */
const emit = (part: string, name: string, data: unknown) =>
  act(() => {
    for (const source of FakeEventSource.open(part)) source.emit(name, data)
  })

/** Renders the page at `path`; `scenario` is one of the mock hub's. */
export async function renderApp(path: string, scenario = 'full') {
  const hub = new MockHub(scenario)
  const server = createServer((request, response) => void handle(hub, request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const realFetch = globalThis.fetch
  const sent: Sent[] = []
  vi.stubGlobal('fetch', async (request: Request) => {
    const { method, headers } = request
    const { pathname, search } = new URL(request.url)
    const body = method === 'GET' ? '' : await request.text()
    sent.push({ method, path: pathname + search, body })
    return realFetch(`http://127.0.0.1:${port}${pathname}${search}`, {
      method,
      headers,
      body: body || undefined,
    })
  })
  FakeEventSource.install()

  const app = makeApp(createMemoryHistory({ initialEntries: [path] }))
  const view = render(app.element)
  onTestFinished(() => {
    view.unmount()
    app.client.clear()
    hub.dispose()
    server.closeAllConnections()
    server.close()
    vi.unstubAllGlobals()
  })
  hub.listeners.add((name, data) => emit('/api/events', name, data))
  return { ...app, hub, sent, emit, user: userEvent.setup() }
}
