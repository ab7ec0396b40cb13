// The hub's event stream, turned into query data. This is the only place that writes instances into the cache.
import type { QueryClient } from '@tanstack/react-query'
import { hubKeys, sessionQuery } from './hub'
import { openStream, type StreamState } from './stream'
import type { Instance, InstanceList, Job } from './types'

/** Puts one instance into the list, or replaces it there. An older generation never replaces a newer one. */
export function withInstance(list: InstanceList, instance: Instance): InstanceList {
  const index = list.instances.findIndex((known) => known.id === instance.id)
  if (index < 0) return { ...list, instances: [...list.instances, instance] }
  const known = list.instances[index]
  if (known && known.generation > instance.generation) return list
  return { ...list, instances: list.instances.with(index, instance) }
}

/** Takes one instance out of the list. */
export function withoutInstance(list: InstanceList, id: string): InstanceList {
  return { ...list, instances: list.instances.filter((instance) => instance.id !== id) }
}

/** Shows a job's progress on the instance that it works on. */
export function withJob(list: InstanceList, job: Job): InstanceList {
  const instances = list.instances.map((instance) => {
    const isOther = instance.job && instance.job.id !== job.id && instance.job.createdAt > job.createdAt
    return instance.id === job.instanceId && !isOther ? { ...instance, job } : instance
  })
  return { ...list, instances }
}

export interface HubListener {
  onState: (state: StreamState) => void
  /** The hub came back as another version, so this page is an old one. */
  onUpgrade: () => void
}

/** Keeps the cache in step with the hub until the returned function is called. */
export function followHub(client: QueryClient, { onState, onUpgrade }: HubListener): () => void {
  const update = (change: (list: InstanceList) => InstanceList) => {
    client.setQueryData<InstanceList>(hubKeys.instances, (list) => list && change(list))
    // An answer that was already on its way may be older than this event: ask again.
    if (client.isFetching({ queryKey: hubKeys.instances }) > 0) {
      void client.invalidateQueries({ queryKey: hubKeys.instances })
    }
  }
  let hubVersion: string | null = null

  return openStream({
    url: '/api/events',
    onState: (state) => {
      onState(state)
      // A refused stream does not say why; asking who we are tells "signed out" from "hub away".
      if (state === 'lost') void client.invalidateQueries({ queryKey: sessionQuery.queryKey })
    },
    on: {
      hello: (data) => {
        const { version } = data as { version: string }
        if (hubVersion !== null && hubVersion !== version) onUpgrade()
        hubVersion = version
        // Whatever happened while nobody listened is in the answers to these.
        void client.invalidateQueries()
      },
      instance: (data) => update((list) => withInstance(list, data as Instance)),
      instanceRemoved: (data) => {
        const { id } = data as { id: string }
        update((list) => withoutInstance(list, id))
        client.removeQueries({ queryKey: ['instance', id] })
      },
      job: (data) => {
        const job = data as Job
        client.setQueryData(['job', job.id], job)
        client.setQueryData<InstanceList>(hubKeys.instances, (list) => list && withJob(list, job))
      },
    },
  })
}
