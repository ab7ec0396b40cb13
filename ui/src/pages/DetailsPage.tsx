import { CircleCheck, CircleX, Copy, ShieldAlert, ShieldCheck } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Enforcement, Instance } from '../api/types'
import { useInstanceScope } from '../components/instanceScope'
import { t } from '../i18n/t'
import { formatBytes, formatCost, formatCount, formatCpus } from '../lib/format'
import { Button } from '../ui/Button'
import { Card, Section } from '../ui/blocks'
import { RelativeTime } from '../ui/RelativeTime'
import { toast } from '../ui/toast'

export function DetailsPage() {
  const { instance } = useInstanceScope()
  return (
    <div className="h-full overflow-y-auto">
      <div className="mx-auto grid max-w-6xl gap-6 px-4 py-5 sm:px-6 lg:grid-cols-2">
        <div className="flex min-w-0 flex-col gap-6">
          <Conditions instance={instance} />
          <Limits instance={instance} />
        </div>
        <div className="flex min-w-0 flex-col gap-6">
          <Usage instance={instance} />
          <About instance={instance} />
        </div>
      </div>
    </div>
  )
}

function Conditions({ instance }: { instance: Instance }) {
  return (
    <Section title={t('details.conditions')}>
      <Card>
        {instance.conditions.length === 0 && (
          <p className="px-4 py-3 text-muted">{t('details.conditionsEmpty')}</p>
        )}
        <ul className="divide-y divide-line">
          {instance.conditions.map((condition) => (
            <li key={condition.type} className="flex gap-3 px-4 py-2.5">
              {condition.status ? (
                <CircleCheck size={16} className="mt-0.5 shrink-0 text-good" aria-label={t('details.true')} />
              ) : (
                <CircleX size={16} className="mt-0.5 shrink-0 text-bad" aria-label={t('details.false')} />
              )}
              <div className="min-w-0 flex-1">
                <p className="flex flex-wrap items-baseline gap-x-2">
                  <span className="font-medium">{condition.type}</span>
                  <code className="font-mono text-xs text-muted">{condition.reason}</code>
                  <span className="ml-auto text-xs text-muted">
                    <RelativeTime at={condition.since} />
                  </span>
                </p>
                {condition.message && <p className="text-xs break-words text-muted">{condition.message}</p>}
              </div>
            </li>
          ))}
        </ul>
      </Card>
    </Section>
  )
}

function Limits({ instance }: { instance: Instance }) {
  const { requested, enforced } = instance.resources
  return (
    <Section title={t('details.limits')}>
      <Card>
        <dl className="grid grid-cols-3 divide-x divide-line border-b border-line">
          <Figure label={t('details.memory')} value={formatBytes(requested.memoryBytes)} />
          <Figure label={t('details.cpus')} value={formatCpus(requested.cpusMilli)} />
          <Figure label={t('details.pids')} value={formatCount(requested.pids)} />
        </dl>
        {enforced.length === 0 && <p className="px-4 py-3 text-muted">{t('details.limitsEmpty')}</p>}
        <EnforcementList items={enforced} />
      </Card>
    </Section>
  )
}

/** Which limits hold, which do not, and why. */
export function EnforcementList({ items }: { items: readonly Enforcement[] }) {
  return (
    <ul className="divide-y divide-line">
      {items.map((item) => (
        <li key={item.limit} className="flex gap-3 px-4 py-2">
          {item.enforced ? (
            <ShieldCheck size={16} className="mt-0.5 shrink-0 text-good" aria-hidden />
          ) : (
            <ShieldAlert size={16} className="mt-0.5 shrink-0 text-warn" aria-hidden />
          )}
          <div className="min-w-0 flex-1">
            <p className="flex flex-wrap items-baseline gap-x-2">
              <span className="font-medium">{item.limit}</span>
              <span className={`text-xs ${item.enforced ? 'text-muted' : 'text-warn'}`}>
                {item.enforced ? t('details.enforced') : t('details.notEnforced')}
              </span>
            </p>
            <p className="text-xs break-words text-muted">{item.reason}</p>
          </div>
        </li>
      ))}
    </ul>
  )
}

function Usage({ instance: { usage } }: { instance: Instance }) {
  return (
    <Section title={t('details.usage')}>
      <Card>
        <dl className="grid grid-cols-3 divide-x divide-line">
          <Figure label={t('details.inputTokens')} value={formatCount(usage.inputTokens)} />
          <Figure label={t('details.outputTokens')} value={formatCount(usage.outputTokens)} />
          <Figure label={t('details.cost')} value={formatCost(usage.costMicros)} />
        </dl>
      </Card>
    </Section>
  )
}

function About({ instance }: { instance: Instance }) {
  const labels = Object.entries(instance.labels ?? {})
  return (
    <Section title={t('details.about')}>
      <Card>
        <dl className="grid grid-cols-[7rem_minmax(0,1fr)] items-center gap-y-1.5 px-4 py-3">
          <Row term={t('details.id')} copy={instance.id} mono />
          <Row term={t('details.name')} copy={instance.name} mono />
          <Row term={t('details.agent')}>
            {instance.agent.kind} {instance.agent.version}
          </Row>
          <Row term={t('details.driver')}>{instance.driver}</Row>
          <Row term={t('details.model')}>{instance.model ?? t('instances.defaultModel')}</Row>
          <Row term={t('details.egress')}>
            {instance.egress === 'closed' ? t('create.egressClosed') : t('create.egressOpen')}
          </Row>
          <Row term={t('details.created')}>
            <When at={instance.createdAt} />
          </Row>
          <Row term={t('details.startedAt')}>
            <When at={instance.startedAt} />
          </Row>
          <Row term={t('details.lastActivity')}>
            <When at={instance.lastActivityAt} />
          </Row>
          <Row term={t('details.endpoint')} copy={instance.endpoint.url} mono />
          {labels.length > 0 && (
            <Row term={t('details.labels')}>{labels.map(([key, value]) => `${key}=${value}`).join(', ')}</Row>
          )}
        </dl>
      </Card>
    </Section>
  )
}

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <div className="min-w-0 px-4 py-2.5">
      <dt className="truncate text-xs text-muted">{label}</dt>
      <dd className="truncate text-base font-semibold tabular-nums">{value}</dd>
    </div>
  )
}

function Row(props: { term: string; children?: ReactNode; copy?: string; mono?: boolean }) {
  const { copy } = props
  return (
    <>
      <dt className="text-xs text-muted">{props.term}</dt>
      <dd className={`flex min-w-0 items-center gap-1 ${props.mono ? 'font-mono text-xs' : ''}`}>
        <span className="min-w-0 break-words">{props.children ?? copy}</span>
        {copy && (
          <Button
            size="small"
            look="quiet"
            label={t('details.copy', { what: props.term })}
            icon={<Copy size={13} />}
            onClick={() =>
              void navigator.clipboard?.writeText(copy).then(
                () => toast.info(t('details.copied')),
                (error: unknown) => toast.failure(t('error.title'), error),
              )
            }
          />
        )}
      </dd>
    </>
  )
}

function When({ at }: { at: string | null | undefined }) {
  return at ? <RelativeTime at={at} /> : t('details.never')
}
