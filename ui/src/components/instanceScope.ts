import { createContext, use } from 'react'
import type { InstanceApi } from '../api/instance'
import type { Instance } from '../api/types'

/** The instance that this part of the page is about, and the only client its views may use. */
export interface InstanceScope {
  instance: Instance
  api: InstanceApi
}

export const InstanceScopeContext = createContext<InstanceScope | null>(null)

export function useInstanceScope(): InstanceScope {
  const scope = use(InstanceScopeContext)
  if (!scope) throw new Error('outside of an instance page')
  return scope
}
