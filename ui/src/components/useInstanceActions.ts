import { useMutation, useQueryClient } from '@tanstack/react-query'
import { hubKeys } from '../api/hub'
import { instanceApi } from '../api/instance'
import { withInstance } from '../api/live'
import type { Instance, InstanceList } from '../api/types'
import { t } from '../i18n/t'
import { toast } from '../ui/toast'

type Verb = 'start' | 'stop' | 'restart'

const DONE = { start: 'instance.started', stop: 'instance.stopped', restart: 'instance.restarted' } as const

/** Start, stop and restart of one instance, with their news. */
export function useInstanceActions(instance: Pick<Instance, 'id' | 'name'>) {
  const client = useQueryClient()
  const { mutate, isPending, variables } = useMutation({
    mutationFn: (verb: Verb) => instanceApi(instance.id)[verb](),
    onSuccess: (answer, verb) => {
      client.setQueryData<InstanceList>(
        hubKeys.instances,
        (list) => list && withInstance(list, answer.instance),
      )
      toast.info(t(DONE[verb], { name: instance.name }))
    },
    onError: (error) => toast.failure(t('instance.actionFailed', { name: instance.name }), error),
  })
  return { run: mutate, pending: isPending ? variables : null }
}
