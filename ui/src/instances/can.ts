// What may be done with an instance right now, and if not, why not. Mirrors the hub's rules; the hub still decides.
import { t, type Key } from '../i18n/t'
import type { Instance, Job } from '../api/types'

/** null when allowed, else the reason for people. */
export type Verdict = string | null

type Phases = Pick<Instance, 'phase'>

function refuse(instance: Phases, reasons: Partial<Record<Instance['phase'], Key>>): Verdict {
  const key = reasons[instance.phase]
  return key ? t(key as 'can.deleting') : null
}

export const instanceCan = {
  start: (instance: Phases) =>
    refuse(instance, {
      pending: 'can.waitReady',
      preparing: 'can.waitReady',
      starting: 'can.waitReady',
      running: 'can.alreadyRunning',
      degraded: 'can.alreadyRunning',
      stopping: 'can.stopping',
      deleting: 'can.deleting',
    }),
  stop: (instance: Phases) =>
    refuse(instance, {
      stopping: 'can.stopping',
      stopped: 'can.alreadyStopped',
      failed: 'can.notRunning',
      deleting: 'can.deleting',
    }),
  restart: (instance: Phases) =>
    refuse(instance, {
      pending: 'can.waitReady',
      preparing: 'can.waitReady',
      starting: 'can.waitReady',
      stopping: 'can.stopping',
      stopped: 'can.notRunning',
      failed: 'can.notRunning',
      deleting: 'can.deleting',
    }),
  remove: (instance: Phases) => refuse(instance, { deleting: 'can.deleting' }),
  chat: (instance: Phases) =>
    refuse(instance, {
      pending: 'can.waitReady',
      preparing: 'can.waitReady',
      starting: 'can.waitReady',
      degraded: 'can.degraded',
      stopping: 'can.startFirst',
      stopped: 'can.startFirst',
      failed: 'can.failed',
      deleting: 'can.deleting',
    }),
}

export const jobCan = {
  cancel: (job: Pick<Job, 'state' | 'kind'>): Verdict => {
    if (isSettled(job)) return t('can.jobOver')
    return job.kind === 'instance_delete' ? t('can.jobDeletes') : null
  },
}

/** Whether the job will never change again. */
export function isSettled(job: Pick<Job, 'state'>): boolean {
  return job.state === 'done' || job.state === 'failed' || job.state === 'cancelled'
}

/** False while the hub cannot do its next step and tries again; the others may be false just because it is early. */
const RECONCILED = 'Reconciled'

/** The sentence to show beside a state that is not as it should be; null when all is well. */
export function troubleOf(instance: Pick<Instance, 'phase' | 'conditions' | 'job'>): string | null {
  const isBad = instance.phase === 'failed' || instance.phase === 'degraded'
  const failing = instance.conditions
    .filter((condition) => !condition.status && condition.message && (isBad || condition.type === RECONCILED))
    .toSorted((a, b) => b.since.localeCompare(a.since))
  return failing[0]?.message ?? (isBad ? (instance.job?.message ?? null) : null)
}

/** The instances whose name, display name, model or labels contain every word of the query, by name. */
export function searchInstances(instances: readonly Instance[], query: string): Instance[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  return instances
    .filter((instance) => {
      const labels = Object.entries(instance.labels ?? {}).map(([key, value]) => `${key}=${value}`)
      const text = [instance.name, instance.displayName, instance.model, instance.phase, ...labels]
        .join(' ')
        .toLowerCase()
      return words.every((word) => text.includes(word))
    })
    .toSorted((a, b) => a.name.localeCompare(b.name))
}
