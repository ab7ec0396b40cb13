// Serves the mock hub from Vite's own server: `npm run dev:mock`, or `vite preview --mode mock`.
// `MOCK_SCENARIO` is one of `full` (default), `empty`, `setup`, `signed-out`.
import type { Connect, Plugin } from 'vite'
import { MockHub } from './hub.ts'
import { handle } from './routes.ts'

export function mockHub(): Plugin {
  const hub = new MockHub(process.env.MOCK_SCENARIO ?? 'full')
  const middleware: Connect.NextHandleFunction = (request, response, next) => {
    if (request.url?.startsWith('/api/')) void handle(hub, request, response)
    else next()
  }
  return {
    name: 'reef-mock-hub',
    configureServer: (server) => void server.middlewares.use(middleware),
    configurePreviewServer: (server) => void server.middlewares.use(middleware),
  }
}
