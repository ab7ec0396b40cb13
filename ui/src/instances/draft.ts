// What the create form holds, what is wrong with it, and the request it becomes.
import type { Egress, InstanceCreate } from '../api/types'
import { t } from '../i18n/t'
import { isInstanceName } from '../lib/name'

const MIB = 1024 * 1024
const MEMORY_MIB_MIN = 256
const CPUS_MAX = 1024
const PIDS_MIN = 16

export interface Draft {
  name: string
  displayName: string
  model: string
  egress: Egress
  memoryMiB: string
  cpus: string
  pids: string
}

export const emptyDraft: Draft = {
  name: '',
  displayName: '',
  model: '',
  egress: 'closed',
  memoryMiB: '2048',
  cpus: '2',
  pids: '512',
}

const isWholeFrom = (text: string, min: number) => /^\d{1,9}$/.test(text.trim()) && Number(text) >= min

/** What is wrong, by field. */
export function draftErrors(draft: Draft): Partial<Record<keyof Draft, string>> {
  const cpus = Number(draft.cpus)
  const errors: Partial<Record<keyof Draft, string>> = {}
  if (!isInstanceName(draft.name)) errors.name = t('create.nameRule')
  if (!isWholeFrom(draft.memoryMiB, MEMORY_MIB_MIN))
    errors.memoryMiB = t('create.memoryRule', { min: MEMORY_MIB_MIN })
  if (!/^\d+(\.\d+)?$/.test(draft.cpus.trim()) || Math.round(cpus * 1000) < 1 || cpus > CPUS_MAX) {
    errors.cpus = t('create.cpusRule')
  }
  if (!isWholeFrom(draft.pids, PIDS_MIN)) errors.pids = t('create.pidsRule', { min: PIDS_MIN })
  return errors
}

/** The request for a draft without errors. */
export function toRequest(draft: Draft): InstanceCreate {
  return {
    name: draft.name,
    egress: draft.egress,
    resources: {
      memoryBytes: Number(draft.memoryMiB) * MIB,
      cpusMilli: Math.round(Number(draft.cpus) * 1000),
      pids: Number(draft.pids),
    },
    ...(draft.displayName.trim() && { displayName: draft.displayName.trim() }),
    ...(draft.model && { model: draft.model }),
  }
}
