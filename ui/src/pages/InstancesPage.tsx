import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Plus, Search, Waves } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { instancesQuery } from '../api/hub'
import { InstanceTable } from '../components/InstanceTable'
import { useTitle } from '../lib/useTitle'
import { t } from '../i18n/t'
import { searchInstances } from '../instances/can'
import { Button } from '../ui/Button'
import { Empty, Failure, Loading } from '../ui/blocks'

const CreateDialog = lazy(() => import('../components/CreateDialog'))

const route = getRouteApi('/_app/')

export function InstancesPage() {
  useTitle(t('instances.title'))
  const { q = '' } = route.useSearch()
  const navigate = route.useNavigate()
  const list = useQuery(instancesQuery)
  const [creating, setCreating] = useState(false)

  const instances = list.data?.instances ?? []
  const shown = searchInstances(instances, q)
  const running = instances.filter((instance) => instance.phase === 'running').length
  const search = (text: string) => void navigate({ search: text ? { q: text } : {}, replace: true })
  const create = (
    <Button look="primary" icon={<Plus size={16} />} onClick={() => setCreating(true)}>
      {t('instances.create')}
    </Button>
  )

  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-4 px-4 py-5 sm:px-6">
      <header className="flex flex-wrap items-center gap-3">
        <div className="mr-auto">
          <h1 className="text-lg font-semibold">{t('instances.title')}</h1>
          {instances.length > 0 && (
            <p className="text-xs text-muted">{t('instances.count', { count: instances.length, running })}</p>
          )}
        </div>
        {instances.length > 0 && (
          <>
            <div className="relative max-sm:order-last max-sm:w-full">
              <Search
                size={14}
                aria-hidden
                className="absolute top-1/2 left-2.5 -translate-y-1/2 text-muted"
              />
              <input
                type="search"
                aria-label={t('instances.search')}
                placeholder={t('instances.search')}
                value={q}
                onChange={(event) => search(event.target.value)}
                className="h-8 w-full rounded-lg border border-line-strong bg-raised pr-2 pl-8 shadow-xs placeholder:text-muted sm:w-56"
              />
            </div>
            {create}
          </>
        )}
      </header>
      {list.isPending && <Loading />}
      {list.isError && !list.data && <Failure error={list.error} onRetry={() => void list.refetch()} />}
      {shown.length > 0 && <InstanceTable instances={shown} />}
      {list.data && instances.length === 0 && (
        <Empty
          icon={<Waves size={26} aria-hidden />}
          title={t('instances.emptyTitle')}
          body={t('instances.emptyBody')}
        >
          {create}
          <p className="text-xs text-muted">
            {t('instances.emptyCommand')}{' '}
            <code className="rounded-md border border-line bg-sunken px-1.5 py-0.5 font-mono">
              reef create scout
            </code>
          </p>
        </Empty>
      )}
      {instances.length > 0 && shown.length === 0 && (
        <Empty title={t('instances.noMatchTitle', { query: q })}>
          <Button onClick={() => search('')}>{t('instances.noMatchClear')}</Button>
        </Empty>
      )}
      {creating && (
        <Suspense>
          <CreateDialog onClose={() => setCreating(false)} />
        </Suspense>
      )}
    </div>
  )
}
