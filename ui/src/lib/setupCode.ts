// The one-time code travels in the fragment, so that no server sees it in an address.

let taken: string | null = null

/** Moves the code from the address into memory, so that neither history nor a glance at the bar shows it. */
export function takeSetupCode(): void {
  const code = new URLSearchParams(location.hash.slice(1)).get('code')
  if (location.pathname !== '/setup' || code === null) return
  taken = code
  history.replaceState(history.state, '', location.pathname + location.search)
}

export const setupCode = (): string => taken ?? ''
