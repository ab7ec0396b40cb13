import { createContext, use } from 'react'
import type { StreamState } from '../api/stream'

/** Whether what the page shows is live, and whether the hub has become another version than the page. */
export interface HubState {
  stream: StreamState
  upgraded: boolean
}

export const HubStateContext = createContext<HubState>({ stream: 'connecting', upgraded: false })

export const useHubState = () => use(HubStateContext)
