/** Where to go after signing in: a path of this page, never another address. */
export function safeReturnPath(next: string | undefined): string {
  if (!next || !next.startsWith('/') || next.startsWith('//') || next.includes('\\')) return '/'
  return next.startsWith('/login') || next.startsWith('/setup') ? '/' : next
}
