import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link, Outlet, useNavigate } from '@tanstack/react-router'
import { SearchX } from 'lucide-react'
import { useMemo, type ReactNode } from 'react'
import { instancesQuery } from '../api/hub'
import { instanceApi } from '../api/instance'
import type { Instance } from '../api/types'
import { InstanceActions } from '../components/InstanceActions'
import { InstanceScopeContext } from '../components/instanceScope'
import { JobProgress } from '../components/JobProgress'
import { PhaseBadge, Trouble } from '../components/PhaseBadge'
import { useTitle } from '../lib/useTitle'
import { t } from '../i18n/t'
import { isSettled, troubleOf } from '../instances/can'
import { Empty, Failure, Loading } from '../ui/blocks'

const route = getRouteApi('/_app/i/$name')

export function InstancePage() {
  const { name } = route.useParams()
  const list = useQuery(instancesQuery)
  const instance = list.data?.instances.find((one) => one.name === name)
  if (list.isPending) return <Loading />
  if (!list.data) return <Failure error={list.error} onRetry={() => void list.refetch()} />
  if (!instance) {
    return (
      <Empty
        icon={<SearchX size={24} aria-hidden />}
        title={t('instance.missingTitle', { name })}
        body={t('instance.missingBody')}
      >
        <Link to="/" className="text-accent underline">
          {t('notFound.back')}
        </Link>
      </Empty>
    )
  }
  // The key makes a new page for another instance: no state of the one before can be left over.
  return <ScopedPage key={instance.id} instance={instance} />
}

function ScopedPage({ instance }: { instance: Instance }) {
  useTitle(instance.displayName || instance.name)
  const navigate = useNavigate()
  const api = useMemo(() => instanceApi(instance.id), [instance.id])
  const scope = useMemo(() => ({ instance, api }), [instance, api])
  const { name } = instance
  const job = instance.job && !isSettled(instance.job) ? instance.job : null
  const trouble = troubleOf(instance)

  return (
    <InstanceScopeContext value={scope}>
      <div className="flex h-full min-h-0 flex-col">
        <header className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-y-1.5 border-b border-line bg-surface px-4 pt-3 sm:px-6">
          <div className="flex min-w-0 items-center gap-x-3 max-sm:col-span-2">
            <h1 className="min-w-0 truncate text-lg font-semibold" title={name}>
              {instance.displayName || name}
            </h1>
            {instance.displayName && (
              <span className="min-w-0 truncate font-mono text-xs text-muted max-md:hidden">{name}</span>
            )}
            <PhaseBadge instance={instance} />
          </div>
          <div className="max-sm:order-last">
            <InstanceActions instance={instance} onRemoved={() => void navigate({ to: '/' })} />
          </div>
          <nav aria-label={t('instance.tabs', { name })} className="-mb-px flex gap-4 sm:col-span-2">
            <Tab to="/i/$name" name={name} exact>
              {t('instance.tabChat')}
            </Tab>
            <Tab to="/i/$name/logs" name={name}>
              {t('instance.tabLogs')}
            </Tab>
            <Tab to="/i/$name/details" name={name}>
              {t('instance.tabDetails')}
            </Tab>
          </nav>
        </header>
        {(job || trouble) && (
          <div className="flex flex-col gap-1.5 border-b border-line bg-sunken px-4 py-2 sm:px-6">
            {job && <JobProgress job={job} name={name} />}
            {trouble && <Trouble phase={instance.phase} text={trouble} />}
          </div>
        )}
        <div className="min-h-0 flex-1">
          <Outlet />
        </div>
      </div>
    </InstanceScopeContext>
  )
}

function Tab(props: {
  to: '/i/$name' | '/i/$name/logs' | '/i/$name/details'
  name: string
  exact?: boolean
  children: ReactNode
}) {
  return (
    <Link
      to={props.to}
      params={{ name: props.name }}
      activeOptions={{ exact: props.exact ?? false, includeSearch: false }}
      className="border-b-2 border-transparent py-1.5 text-muted hover:text-text aria-[current=page]:border-accent aria-[current=page]:font-medium aria-[current=page]:text-text"
    >
      {props.children}
    </Link>
  )
}
