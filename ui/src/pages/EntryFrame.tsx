import type { ReactNode } from 'react'
import { useTitle } from '../lib/useTitle'
import { Card, Logo } from '../ui/blocks'

/** The page before anyone is signed in. */
export function EntryFrame({ title, lead, children }: { title: string; lead?: string; children: ReactNode }) {
  useTitle(title)
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center px-4 py-10">
      <Card className="w-full max-w-sm p-6">
        <Logo size={36} />
        <h1 className="mt-4 text-lg font-semibold">{title}</h1>
        {lead && <p className="mt-0.5 text-muted">{lead}</p>}
        <div className="mt-5">{children}</div>
      </Card>
    </main>
  )
}
