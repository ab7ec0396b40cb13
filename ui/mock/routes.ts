// The HTTP side of the mock hub.
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { InstanceCreate, ProviderCreate } from '../src/api/types'
import { abort, answer } from './chat.ts'
import { LIMITS, SENTINELS, type MockHub } from './hub.ts'

const PING_MS = 15_000
const VERSION = '0.1.0'
const LOG_LINES = 60
const WRONG_PASSWORD = 'wrong-password'
const EXPIRED_CODE = 'expired'

interface Call {
  hub: MockHub
  request: IncomingMessage
  response: ServerResponse
  parts: string[]
  query: URLSearchParams
  body: Record<string, unknown>
}

export async function handle(
  hub: MockHub,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://mock')
  const parts = url.pathname.slice('/api/'.length).split('/').map(decodeURIComponent)
  const call: Call = { hub, request, response, parts, query: url.searchParams, body: await readBody(request) }
  const route = `${request.method} ${parts[0]}`
  const isOpen = parts[0] === 'setup' || parts[0] === 'auth'
  if (!hub.signedIn && !isOpen) return fail(call, 401, 'unauthenticated', 'Sign in first.')
  const user = { id: 'usr_1', name: 'ada' }

  switch (route) {
    case 'GET setup':
      return json(call, 200, { required: hub.required })
    case 'POST setup':
      if (call.body.code === EXPIRED_CODE)
        return fail(call, 401, 'unauthenticated', 'The setup code has expired.')
      hub.required = false
      hub.signedIn = true
      return json(call, 201, { user })
    case 'GET auth':
      return hub.signedIn
        ? json(call, 200, { user, via: 'cookie' })
        : fail(call, 401, 'unauthenticated', 'Sign in first.')
    case 'POST auth':
      if (parts[1] === 'login' && call.body.password === WRONG_PASSWORD) {
        return fail(call, 401, 'unauthenticated', 'Name or password is wrong.')
      }
      hub.signedIn = parts[1] === 'login'
      return hub.signedIn ? json(call, 200, { user }) : empty(call)
    case 'GET events':
      return events(call)
    case 'POST jobs': {
      const job = hub.cancel(parts[1] ?? '')
      return job ? json(call, 200, { job }) : fail(call, 404, 'job_not_found', 'There is no such job.')
    }
    case 'GET agents':
      return json(call, 200, { kinds: [AGENT_KIND] })
    case 'GET system':
      return json(call, 200, { version: VERSION, checks: CHECKS, limits: LIMITS })
    case 'GET providers':
      return json(call, 200, { items: hub.providers })
    case 'POST providers': {
      const { name, kind, baseUrl, models } = call.body as ProviderCreate
      const provider = { name, kind, baseUrl, builtIn: false, models: models.map((id) => ({ id, name: id })) }
      hub.providers.push(provider)
      return json(call, 201, provider)
    }
    case 'DELETE providers':
      hub.providers = hub.providers.filter((one) => one.name !== parts[1])
      return empty(call)
  }
  if (parts[0] === 'instances') return instances(call)
  return fail(call, 404, 'not_found', 'There is no such route.')
}

function instances(call: Call): void {
  const { hub, parts, request } = call
  const [, id, verb] = parts
  if (id === undefined) {
    if (request.method === 'POST') return create(call)
    return json(call, 200, { updatedAt: new Date().toISOString(), instances: [...hub.instances.values()] })
  }
  const instance = hub.find(id)
  if (!instance) return fail(call, 404, 'instance_not_found', `There is no instance ${id}.`)
  if (request.method === 'DELETE') return json(call, 202, hub.work(instance, 'delete'))
  switch (verb) {
    case undefined:
      return json(call, 200, instance)
    case 'start':
    case 'stop':
    case 'restart':
      return json(call, 202, hub.work(instance, verb))
    case 'sessions':
      return json(call, 200, {
        items: [
          { key: 'main', title: null, model: null, updatedAt: null, inputTokens: 0, outputTokens: 0 },
          {
            key: 'weekly',
            title: 'Weekly report',
            model: null,
            updatedAt: null,
            inputTokens: 0,
            outputTokens: 0,
          },
        ],
        nextCursor: null,
      })
    case 'chat':
      return chat(call, instance.id)
    case 'logs':
      return logs(call)
    default:
      return fail(call, 501, 'not_implemented', 'Not built yet.')
  }
}

function create(call: Call): void {
  const body = call.body as unknown as InstanceCreate
  const taken = call.hub.find(body.name) || body.name === SENTINELS.inUse
  if (taken)
    return fail(call, 409, 'instance_name_in_use', 'There is already an instance with this name.', 'name')
  if (body.name === SENTINELS.quota)
    return fail(call, 422, 'quota_exceeded', 'This machine has no memory left for it.')
  if (body.name === SENTINELS.driver)
    return fail(call, 503, 'driver_unavailable', 'The process driver is not available.')
  return json(call, 202, call.hub.create(body))
}

function chat(call: Call, id: string): void {
  const [, , , session = 'main', action] = call.parts
  const conversation = call.hub.conversation(id, session)
  if (action === 'stream') {
    const send = stream(call)
    const { cursor, items, run } = conversation
    send('snapshot', { cursor: `mock-${cursor}`, items, run })
    conversation.listeners.add(send)
    call.request.on('close', () => conversation.listeners.delete(send))
    return
  }
  if (action === 'abort') {
    abort(conversation)
    return empty(call)
  }
  const text = String(call.body.text)
  if (text.includes('refuse')) return fail(call, 503, 'instance_unavailable', 'The agent is restarting.')
  return json(call, 202, { runId: answer(conversation, text) })
}

function events(call: Call): void {
  const send = stream(call)
  send('hello', { version: VERSION })
  call.hub.listeners.add(send)
  call.request.on('close', () => call.hub.listeners.delete(send))
}

function logs(call: Call): void {
  const send = stream(call)
  for (let line = 0; line < LOG_LINES; line += 1) {
    send('line', {
      at: new Date(Date.now() - (LOG_LINES - line) * 1000).toISOString(),
      stream: line % 9 === 4 ? 'stderr' : 'stdout',
      text:
        line % 9 === 4 ? '[ws] slow client, frame dropped' : `[gateway] heartbeat ok seq=${line} rss=212MiB`,
    })
  }
}

function stream({ request, response }: Call): (event: string, data: unknown) => void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const send = (event: string, data: unknown) =>
    void response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  const ping = setInterval(() => send('ping', {}), PING_MS)
  request.on('close', () => clearInterval(ping))
  return send
}

function json({ response }: Call, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function empty({ response }: Call): void {
  response.writeHead(204).end()
}

function fail(call: Call, status: number, code: string, message: string, field?: string): void {
  json(call, status, { error: { code, message, requestId: randomUUID(), field, details: {} } })
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  if (request.method === 'GET') return {}
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  return text ? (JSON.parse(text) as Record<string, unknown>) : {}
}

const AGENT_KIND = {
  kind: 'openclaw',
  defaultVersion: '2026.9.6',
  testedVersions: ['2026.9.6'],
  installed: [
    {
      kind: 'openclaw',
      version: '2026.9.6',
      sizeBytes: 431_000_000,
      installedAt: new Date(Date.now() - 8e6).toISOString(),
    },
  ],
}

const CHECKS = [
  { name: 'Node', ok: true, message: 'Node 24.21.0 is in the version store.' },
  { name: 'Sandbox', ok: true, message: 'User namespaces, Landlock and seccomp are available.' },
  {
    name: 'Control groups',
    ok: false,
    message: 'The cpu controller is not delegated to this user; run reef doctor for the command.',
  },
]
