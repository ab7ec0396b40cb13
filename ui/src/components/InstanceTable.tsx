import { Link } from '@tanstack/react-router'
import type { Instance } from '../api/types'
import { t } from '../i18n/t'
import { isSettled, troubleOf } from '../instances/can'
import { formatCompact } from '../lib/format'
import { Card } from '../ui/blocks'
import { RelativeTime } from '../ui/RelativeTime'
import { InstanceActions } from './InstanceActions'
import { JobProgress } from './JobProgress'
import { PhaseBadge, Trouble } from './PhaseBadge'

const HEAD = 'px-3 py-2 text-left text-xs font-medium text-muted'
const CELL = 'px-3 align-middle'

/** All instances with their live state. */
export function InstanceTable({ instances }: { instances: Instance[] }) {
  return (
    <Card className="overflow-hidden">
      <table aria-label={t('instances.list')} className="w-full border-collapse md:table-fixed">
        <thead className="border-b border-line bg-sunken max-md:sr-only">
          <tr>
            <th className={`${HEAD} pl-4`}>{t('instances.colName')}</th>
            <th className={`${HEAD} w-28`}>{t('instances.colState')}</th>
            <th className={`${HEAD} w-44 max-md:hidden`}>{t('instances.colModel')}</th>
            <th className={`${HEAD} w-20 text-right max-lg:hidden`}>{t('instances.colUsage')}</th>
            <th className={`${HEAD} w-28 max-lg:hidden`}>{t('instances.colCreated')}</th>
            <th className={`${HEAD} w-40 text-right`}>
              <span className="sr-only">{t('instances.colActions')}</span>
            </th>
          </tr>
        </thead>
        {instances.map((instance) => (
          <InstanceRows key={instance.id} instance={instance} />
        ))}
      </table>
    </Card>
  )
}

function InstanceRows({ instance }: { instance: Instance }) {
  const trouble = troubleOf(instance)
  const job = instance.job && !isSettled(instance.job) ? instance.job : null
  const { inputTokens, outputTokens } = instance.usage
  return (
    <tbody className="border-b border-line last:border-0 hover:bg-hover/40">
      <tr className="h-13 max-md:h-auto">
        <td className={`${CELL} pl-4 max-md:w-full max-md:max-w-0 max-md:pt-3`}>
          <Link
            to="/i/$name"
            params={{ name: instance.name }}
            className="block truncate font-medium hover:text-accent"
          >
            {instance.name}
          </Link>
          {instance.displayName && (
            <span className="block truncate text-xs text-muted">{instance.displayName}</span>
          )}
        </td>
        <td className={`${CELL} max-md:pr-4 max-md:pt-3 max-md:text-right`}>
          <PhaseBadge instance={instance} />
        </td>
        <td
          className={`${CELL} truncate text-xs text-muted max-md:hidden`}
          title={instance.model ?? undefined}
        >
          {instance.model ?? t('instances.defaultModel')}
        </td>
        <td className={`${CELL} text-right text-xs text-muted tabular-nums max-lg:hidden`}>
          {formatCompact(inputTokens + outputTokens)}
        </td>
        <td className={`${CELL} text-xs text-muted max-lg:hidden`}>
          <RelativeTime at={instance.createdAt} />
        </td>
        <td className={`${CELL} max-md:hidden`}>
          <div className="flex justify-end">
            <InstanceActions instance={instance} />
          </div>
        </td>
      </tr>
      {(job || trouble) && (
        <tr>
          <td colSpan={6} className="max-w-0 px-4 pb-3 max-md:pt-2">
            <div className="flex flex-col gap-1.5">
              {job && <JobProgress job={job} name={instance.name} />}
              {trouble && <Trouble phase={instance.phase} text={trouble} />}
            </div>
          </td>
        </tr>
      )}
      <tr className="md:hidden">
        <td colSpan={6} className="max-w-0 px-2 pt-1 pb-2">
          <div className="flex items-center justify-between gap-2 pl-2">
            <span className="min-w-0 truncate text-xs text-muted">
              {instance.model ?? t('instances.defaultModel')}
            </span>
            <InstanceActions instance={instance} />
          </div>
        </td>
      </tr>
    </tbody>
  )
}
