import { useQuery } from '@tanstack/react-query'
import { CircleAlert, CircleCheck, LogOut } from 'lucide-react'
import type { ReactNode } from 'react'
import { agentsQuery, sessionQuery, systemQuery } from '../api/hub'
import { Providers } from '../components/Providers'
import { ThemePicker } from '../components/ThemePicker'
import { useLogOut } from '../components/useLogOut'
import { useTitle } from '../lib/useTitle'
import { t } from '../i18n/t'
import { formatBytes } from '../lib/format'
import { Button } from '../ui/Button'
import { Card, Failure, Loading, Section } from '../ui/blocks'
import { RelativeTime } from '../ui/RelativeTime'
import { EnforcementList } from './DetailsPage'

export function SettingsPage() {
  useTitle(t('settings.title'))
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-8 px-4 py-5 sm:px-6">
      <h1 className="text-lg font-semibold">{t('settings.title')}</h1>
      <Providers />
      <Agents />
      <Machine />
      <Section title={t('settings.appearance')}>
        <Card className="p-4">
          <ThemePicker />
        </Card>
      </Section>
      <Account />
    </div>
  )
}

function Agents() {
  const agents = useQuery(agentsQuery)
  return (
    <Section title={t('settings.agents')}>
      <Card>
        <Answer query={agents}>
          <ul className="divide-y divide-line">
            {agents.data?.kinds.map((kind) => (
              <li key={kind.kind} className="px-4 py-2.5">
                <p className="flex flex-wrap items-baseline justify-between gap-x-3">
                  <span className="font-medium">{kind.kind}</span>
                  <span className="text-xs text-muted">
                    {t('settings.agentDefault', { version: kind.defaultVersion })}
                  </span>
                </p>
                {kind.installed.length === 0 && (
                  <p className="text-xs text-muted">{t('settings.agentNone')}</p>
                )}
                {kind.installed.map((installed) => (
                  <p
                    key={installed.version}
                    className="mt-1 flex flex-wrap justify-between gap-x-3 text-xs text-muted"
                  >
                    <span className="font-mono text-text">{installed.version}</span>
                    <span>
                      {formatBytes(installed.sizeBytes)} · <RelativeTime at={installed.installedAt} />
                    </span>
                  </p>
                ))}
              </li>
            ))}
          </ul>
        </Answer>
      </Card>
    </Section>
  )
}

function Machine() {
  const system = useQuery(systemQuery)
  return (
    <Section
      title={t('settings.machine')}
      body={system.data && t('settings.version', { version: system.data.version })}
    >
      <Card>
        <Answer query={system}>
          <h3 className="border-b border-line px-4 py-2 text-xs font-medium text-muted">
            {t('settings.checks')}
          </h3>
          <ul className="divide-y divide-line">
            {system.data?.checks.map((check) => (
              <li key={check.name} className="flex gap-3 px-4 py-2">
                {check.ok ? (
                  <CircleCheck
                    size={16}
                    className="mt-0.5 shrink-0 text-good"
                    aria-label={t('settings.ok')}
                  />
                ) : (
                  <CircleAlert
                    size={16}
                    className="mt-0.5 shrink-0 text-warn"
                    aria-label={t('settings.notOk')}
                  />
                )}
                <div className="min-w-0">
                  <p className="font-medium">{check.name}</p>
                  <p className="text-xs break-words text-muted">{check.message}</p>
                </div>
              </li>
            ))}
          </ul>
          <h3 className="border-y border-line px-4 py-2 text-xs font-medium text-muted">
            {t('settings.limits')}
          </h3>
          <EnforcementList items={system.data?.limits ?? []} />
        </Answer>
      </Card>
    </Section>
  )
}

function Account() {
  const { data: session } = useQuery(sessionQuery)
  const logOut = useLogOut()
  return (
    <Section title={t('settings.account')}>
      <Card className="flex flex-wrap items-center justify-between gap-3 p-4">
        <p>{t('settings.signedInAs', { name: session?.user.name ?? '' })}</p>
        <Button icon={<LogOut size={14} />} busy={logOut.isPending} onClick={() => logOut.mutate()}>
          {t('settings.logout')}
        </Button>
      </Card>
    </Section>
  )
}

interface AnswerProps {
  query: { isPending: boolean; isError: boolean; data: unknown; error: unknown; refetch: () => unknown }
  children: ReactNode
}

/** The children once there is an answer, else why there is none yet. */
export function Answer({ query, children }: AnswerProps) {
  if (query.isPending) return <Loading />
  if (query.isError && !query.data)
    return <Failure error={query.error} onRetry={() => void query.refetch()} />
  return children
}
