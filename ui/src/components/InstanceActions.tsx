import { Play, RotateCw, Square, Trash2 } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import type { Instance } from '../api/types'
import { t } from '../i18n/t'
import { instanceCan } from '../instances/can'
import { Button } from '../ui/Button'
import { useInstanceActions } from './useInstanceActions'

const RemoveDialog = lazy(() => import('./RemoveDialog'))

interface Props {
  instance: Instance
  onRemoved?: () => void
}

/** All that can be done with an instance; what cannot be done now says why. */
export function InstanceActions({ instance, onRemoved }: Props) {
  const { run, pending } = useInstanceActions(instance)
  const [removing, setRemoving] = useState(false)
  return (
    <div
      className="flex items-center gap-0.5"
      role="group"
      aria-label={t('action.more', { name: instance.name })}
    >
      <Button
        look="quiet"
        label={t('instance.start')}
        icon={<Play size={15} />}
        refusal={instanceCan.start(instance)}
        busy={pending === 'start'}
        onClick={() => run('start')}
      />
      <Button
        look="quiet"
        label={t('instance.stop')}
        icon={<Square size={14} />}
        refusal={instanceCan.stop(instance)}
        busy={pending === 'stop'}
        onClick={() => run('stop')}
      />
      <Button
        look="quiet"
        label={t('instance.restart')}
        icon={<RotateCw size={15} />}
        refusal={instanceCan.restart(instance)}
        busy={pending === 'restart'}
        onClick={() => run('restart')}
      />
      <Button
        look="quiet"
        label={t('instance.remove')}
        icon={<Trash2 size={15} />}
        refusal={instanceCan.remove(instance)}
        onClick={() => setRemoving(true)}
      />
      {removing && (
        <Suspense>
          <RemoveDialog instance={instance} onClose={() => setRemoving(false)} onRemoved={onRemoved} />
        </Suspense>
      )}
    </div>
  )
}
