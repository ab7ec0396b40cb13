import { useMutation } from '@tanstack/react-query'
import { cancelJob } from '../api/hub'
import type { Job } from '../api/types'
import { t } from '../i18n/t'
import { jobCan } from '../instances/can'
import { formatBytes, formatCount } from '../lib/format'
import { Button } from '../ui/Button'
import { ProgressBar } from '../ui/ProgressBar'
import { toast } from '../ui/toast'

/** What a job is doing now, and how far it is. */
export function JobProgress({
  job,
  name,
  cancellable = true,
}: {
  job: Job
  name: string
  cancellable?: boolean
}) {
  const { step, done, total } = job.progress
  const text = step || t('job.queued')
  return (
    <div className="flex min-w-0 items-center gap-3">
      <div className="min-w-0 flex-1">
        <div className="mb-1 flex justify-between gap-3 text-xs text-muted">
          <span className="truncate">{text}</span>
          <span className="shrink-0 tabular-nums">{countOf(job)}</span>
        </div>
        {/* Each step counts its own units: a new bar, not one that runs backwards. */}
        <ProgressBar key={step} label={t('job.progress', { name })} value={done} max={total} />
      </div>
      {cancellable && <CancelJob job={job} />}
    </div>
  )
}

export function CancelJob({ job, label }: { job: Job; label?: string }) {
  const cancel = useMutation({
    mutationFn: () => cancelJob(job.id),
    onError: (error) => toast.failure(t('error.title'), error),
  })
  return (
    <Button
      size={label ? 'normal' : 'small'}
      refusal={jobCan.cancel(job)}
      busy={cancel.isPending}
      onClick={() => cancel.mutate()}
    >
      {label ?? t('job.cancel')}
    </Button>
  )
}

function countOf({ progress: { done, total, unit } }: Job): string {
  if (unit === 'bytes') return total > 0 ? `${formatBytes(done)} / ${formatBytes(total)}` : formatBytes(done)
  if (total === 0) return ''
  return t('job.count', { done: formatCount(done), total: formatCount(total), unit })
}
