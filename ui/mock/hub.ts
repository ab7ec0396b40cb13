// A hub that exists only in memory: for developing the page and for its tests. Errors are provoked by names, never by
// intercepting: see `SENTINELS`.
import { randomUUID } from 'node:crypto'
import type { ChatItem, ChatRun, Instance, InstanceCreate, Job, Phase, Provider } from '../src/api/types'

/** Instance names that make creation go wrong in one certain way. */
export const SENTINELS = {
  inUse: 'fail-in-use',
  quota: 'fail-quota',
  driver: 'fail-driver',
  install: 'fail-install',
  slow: 'slow',
} as const

export interface Conversation {
  items: ChatItem[]
  run: ChatRun | null
  cursor: number
  listeners: Set<(event: string, data: unknown) => void>
}

export type Listener = (event: string, data: unknown) => void

const STEP_MS = 350
const MINUTE_MS = 60_000

export class MockHub {
  required: boolean
  signedIn = false
  instances = new Map<string, Instance>()
  providers: Provider[] = [
    {
      name: 'echo',
      kind: 'echo',
      baseUrl: null,
      builtIn: true,
      models: [
        { id: 'plain', name: 'Echo' },
        { id: 'tools', name: 'Echo with tool calls' },
      ],
    },
  ]
  listeners = new Set<Listener>()
  conversations = new Map<string, Conversation>()
  private timers = new Map<string, NodeJS.Timeout>()

  constructor(scenario: string) {
    this.required = scenario === 'setup'
    if (scenario === 'empty' || scenario === 'setup') return
    this.signedIn = scenario !== 'signed-out'
    this.seed('scout', 'running', { displayName: 'Scout', model: 'echo/plain' })
    this.seed('archivist', 'running', { model: 'anthropic/claude-sonnet', egress: 'open' })
    this.seed('mail-triage', 'stopped', { displayName: 'Mail triage' })
    this.seed('night-shift', 'failed', { model: 'openai/gpt-large' })
    this.seed('release-notes', 'degraded', {})
    this.providers.push({
      name: 'anthropic',
      kind: 'anthropic',
      baseUrl: 'https://api.anthropic.com',
      builtIn: false,
      models: [{ id: 'claude-sonnet', name: 'claude-sonnet' }],
    })
  }

  emit(event: string, data: unknown) {
    for (const listener of this.listeners) listener(event, data)
  }

  find(idOrName: string): Instance | undefined {
    return this.instances.get(idOrName) ?? [...this.instances.values()].find((one) => one.name === idOrName)
  }

  conversation(id: string, session: string): Conversation {
    const key = `${id}/${session}`
    let conversation = this.conversations.get(key)
    if (!conversation) {
      conversation = { items: [], run: null, cursor: 0, listeners: new Set() }
      this.conversations.set(key, conversation)
    }
    return conversation
  }

  create(body: InstanceCreate): { instance: Instance; job: Job } {
    const instance = this.make(body, 'pending')
    this.instances.set(instance.id, instance)
    return this.work(instance, body.name === SENTINELS.install ? 'failing' : 'start')
  }

  /** Starts a job that walks the instance through its phases. */
  work(
    instance: Instance,
    plan: 'start' | 'failing' | 'stop' | 'restart' | 'delete',
  ): { instance: Instance; job: Job } {
    const kind = plan === 'stop' ? 'instance_stop' : plan === 'delete' ? 'instance_delete' : 'instance_start'
    const job: Job = {
      id: `job_${randomUUID().replaceAll('-', '')}`,
      kind,
      state: 'running',
      instanceId: instance.id,
      progress: { step: 'Preparing', done: 0, total: 0, unit: '' },
      reason: null,
      message: null,
      createdAt: new Date().toISOString(),
      updatedAt: new Date().toISOString(),
    }
    const steps = plansOf(plan)
    this.advance(instance.id, job, steps, instance.name === SENTINELS.slow ? STEP_MS * 10 : STEP_MS)
    return { instance: this.instances.get(instance.id) ?? instance, job }
  }

  cancel(jobId: string): Job | undefined {
    const instance = [...this.instances.values()].find((one) => one.job?.id === jobId)
    if (!instance?.job) return undefined
    clearTimeout(this.timers.get(jobId))
    const job: Job = { ...instance.job, state: 'cancelled' }
    this.put({ ...instance, phase: 'stopped', availability: 'stopped', job })
    this.emit('job', job)
    return job
  }

  /** Stops all work that still goes on. */
  dispose() {
    for (const timer of this.timers.values()) clearTimeout(timer)
    this.listeners.clear()
  }

  private advance(id: string, job: Job, steps: Step[], delayMs: number) {
    const instance = this.instances.get(id)
    const [step, ...rest] = steps
    if (!instance) return
    if (!step) {
      const done: Job = { ...job, state: instance.phase === 'failed' ? 'failed' : 'done' }
      if (instance.phase === 'deleting') {
        this.instances.delete(id)
        this.emit('job', done)
        this.emit('instanceRemoved', { id, name: instance.name })
        return
      }
      this.put({ ...instance, job: done })
      this.emit('job', done)
      return
    }
    const next: Job = { ...job, progress: step.progress, updatedAt: new Date().toISOString() }
    this.put(withPhase({ ...instance, job: next }, step.phase))
    this.emit('job', next)
    this.timers.set(
      job.id,
      setTimeout(() => this.advance(id, next, rest, delayMs), delayMs),
    )
  }

  private put(instance: Instance) {
    this.instances.set(instance.id, instance)
    this.emit('instance', instance)
  }

  private seed(name: string, phase: Phase, more: Partial<InstanceCreate>) {
    const instance = withPhase(this.make({ name, ...more }, phase), phase)
    this.instances.set(instance.id, instance)
  }

  private make(body: InstanceCreate, phase: Phase): Instance {
    const id = `ins_${randomUUID().replaceAll('-', '')}`
    const at = new Date(Date.now() - this.instances.size * 47 * MINUTE_MS).toISOString()
    return {
      id,
      name: body.name,
      displayName: body.displayName ?? null,
      driver: 'process',
      agent: { kind: 'openclaw', version: '2026.9.6' },
      phase,
      availability: 'initializing',
      gateway: 'unreachable',
      desired: 'running',
      generation: 1,
      observedGeneration: 1,
      conditions: [],
      createdAt: at,
      startedAt: at,
      endpoint: { url: `/api/instances/${id}/proxy/` },
      resources: {
        requested: body.resources ?? { memoryBytes: 2 * 2 ** 30, cpusMilli: 2000, pids: 512 },
        enforced: LIMITS,
      },
      egress: body.egress ?? 'closed',
      labels: {},
      model: body.model ?? null,
      lastActivityAt: at,
      nextCronAt: null,
      usage: { costMicros: 128_400, inputTokens: 48_210, outputTokens: 9_318 },
    }
  }
}

export const LIMITS = [
  { limit: 'memory', enforced: true, reason: 'cgroup v2 memory.max' },
  { limit: 'cpu', enforced: true, reason: 'cgroup v2 cpu.max' },
  { limit: 'pids', enforced: true, reason: 'cgroup v2 pids.max' },
  { limit: 'filesystem', enforced: true, reason: 'own mount namespace and Landlock ABI 6' },
  { limit: 'network', enforced: true, reason: 'own network namespace; doors only' },
  {
    limit: 'disk',
    enforced: false,
    reason: 'The data directory is on a file system without project quotas.',
  },
]

interface Step {
  phase: Phase
  progress: Job['progress']
}

const step = (phase: Phase, text: string, done = 0, total = 0, unit = ''): Step => ({
  phase,
  progress: { step: text, done, total, unit },
})

function plansOf(plan: 'start' | 'failing' | 'stop' | 'restart' | 'delete'): Step[] {
  const stop = [step('stopping', 'Asking the agent to stop'), step('stopped', 'Stopped')]
  const download = [8, 24, 41, 47].map((mb) =>
    step('preparing', 'Downloading Node 24', mb * 2 ** 20, 47 * 2 ** 20, 'bytes'),
  )
  const start = [
    ...download,
    step('preparing', 'Installing OpenClaw 2026.9.6', 210, 441, 'packages'),
    step('starting', 'Starting the sandbox'),
    step('starting', 'Waiting for the agent'),
    step('running', 'Ready'),
  ]
  switch (plan) {
    case 'start':
      return start
    case 'failing':
      return [...download, step('failed', 'Installing OpenClaw 2026.9.6', 12, 441, 'packages')]
    case 'stop':
      return stop
    case 'restart':
      return [...stop.slice(0, 1), ...start.slice(-3)]
    case 'delete':
      return [
        step('deleting', 'Stopping the agent'),
        step('deleting', 'Removing its files', 120, 340, 'files'),
      ]
  }
}

function withPhase(instance: Instance, phase: Phase): Instance {
  const availability = {
    running: 'ready',
    pending: 'initializing',
    preparing: 'initializing',
    starting: 'initializing',
    degraded: 'unreachable',
    failed: 'unreachable',
    stopping: 'stopped',
    stopped: 'stopped',
    deleting: 'stopped',
  } as const
  const since = new Date(Date.now() - 3 * MINUTE_MS).toISOString()
  const installFailed = phase === 'failed'
  const ready = phase === 'running'
  return {
    ...instance,
    phase,
    availability: availability[phase],
    gateway: ready ? 'ok' : 'unreachable',
    conditions: [
      {
        type: 'Installed',
        status: !installFailed,
        reason: installFailed ? 'registry_unreachable' : 'installed',
        message: installFailed
          ? 'The package registry did not answer. Check the network of this machine, then start the instance again.'
          : 'OpenClaw 2026.9.6 is in the version store.',
        since,
      },
      {
        type: 'Ready',
        status: ready,
        reason: ready ? 'ready' : phase === 'degraded' ? 'no_heartbeat' : 'not_running',
        message:
          phase === 'degraded'
            ? 'The agent has not answered for 40 s. It is being watched; a restart often helps.'
            : ready
              ? 'The gateway answers.'
              : '',
        since: phase === 'degraded' ? new Date().toISOString() : since,
      },
    ],
  }
}
