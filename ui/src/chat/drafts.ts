// Unsent text, per instance and session, while the page is open. Never stored: it may hold a secret.

const drafts = new Map<string, string>()

export const readDraft = (place: string): string => drafts.get(place) ?? ''

export function keepDraft(place: string, text: string): void {
  if (text) drafts.set(place, text)
  else drafts.delete(place)
}
