import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { CircleAlert, CircleCheck } from 'lucide-react'
import type { ReactNode } from 'react'
import { instancesQuery } from '../api/hub'
import type { Instance } from '../api/types'
import { t } from '../i18n/t'
import { isSettled, troubleOf } from '../instances/can'
import { Button } from '../ui/Button'
import { Modal, ModalBody, ModalFooter } from '../ui/Modal'
import { CancelJob, JobProgress } from './JobProgress'
import { PhaseBadge, Trouble } from './PhaseBadge'

interface Props {
  id: string
  name: string
  onClose: () => void
}

/** How the creation of one instance goes, until it is ready or has failed. */
export function CreateProgress({ id, name, onClose }: Props) {
  const navigate = useNavigate()
  const { data: instance } = useQuery({
    ...instancesQuery,
    select: (list) => list.instances.find((one) => one.id === id),
  })
  const enter = () => {
    onClose()
    void navigate({ to: '/i/$name', params: { name } })
  }
  const outcome = outcomeOf(instance)
  const trouble = instance ? troubleOf(instance) : null
  const title = {
    ready: t('create.readyTitle', { name }),
    failed: t('create.failedTitle', { name }),
    cancelled: t('create.cancelledTitle', { name }),
    working: t('create.progressTitle', { name }),
  }[outcome]

  return (
    <Modal open onClose={onClose} title={title}>
      <ModalBody>
        <div role="status" className="flex flex-col gap-3">
          {outcome === 'ready' && (
            <Line icon={<CircleCheck size={18} className="text-good" />}>{t('create.readyBody')}</Line>
          )}
          {outcome === 'failed' && (
            <Line icon={<CircleAlert size={18} className="text-bad" />}>
              {trouble ?? instance?.job?.message ?? t('error.title')}
            </Line>
          )}
          {outcome === 'cancelled' && <p>{t('create.cancelledBody')}</p>}
          {outcome === 'working' && <p className="text-muted">{t('create.progressBody')}</p>}
        </div>
        {outcome === 'working' && instance && (
          <div className="flex flex-col gap-2.5 rounded-xl border border-line bg-sunken px-3.5 py-3">
            <div>
              <PhaseBadge instance={instance} />
            </div>
            {instance.job && <JobProgress job={instance.job} name={name} cancellable={false} />}
            {trouble && <Trouble phase={instance.phase} text={trouble} />}
          </div>
        )}
      </ModalBody>
      <ModalFooter>
        {outcome === 'working' && instance?.job && !isSettled(instance.job) && (
          <div className="mr-auto">
            <CancelJob job={instance.job} label={t('create.cancelJob')} />
          </div>
        )}
        <Button onClick={onClose}>{t('action.close')}</Button>
        {outcome !== 'working' && (
          <Button look="primary" onClick={enter}>
            {outcome === 'ready' ? t('create.openChat') : t('create.openInstance')}
          </Button>
        )}
      </ModalFooter>
    </Modal>
  )
}

/** What became of a creation, as far as it is known. */
export function outcomeOf(instance: Pick<Instance, 'phase' | 'job'> | undefined) {
  if (instance?.phase === 'running') return 'ready'
  if (instance?.job?.state === 'cancelled') return 'cancelled'
  if (instance?.phase === 'failed' || instance?.job?.state === 'failed') return 'failed'
  return 'working'
}

function Line({ icon, children }: { icon: ReactNode; children: ReactNode }) {
  return (
    <div className="flex gap-2.5">
      <span className="shrink-0 pt-px" aria-hidden>
        {icon}
      </span>
      <p className="min-w-0 break-words">{children}</p>
    </div>
  )
}
