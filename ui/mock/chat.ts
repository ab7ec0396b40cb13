// The mock's agent. What it does depends on the message: `fail`, `refuse`, `long`, `tool`, anything else is echoed.
import { randomUUID } from 'node:crypto'
import type { ChatItem } from '../src/api/types'
import type { Conversation } from './hub.ts'

const TOKEN_MS = 45

const ANSWER = `Here is what I found in the workspace.

## Summary

- **3 files** changed since yesterday, all under \`notes/\`
- The build is *green*; one test was skipped
- Nothing left the sandbox

\`\`\`ts
export function greet(name: string) {
  return \`Hello, \${name}\`
}
\`\`\`

| file | lines |
|---|---|
| notes/today.md | 42 |
| notes/plan.md | 17 |

Shall I write the release notes next?`

/** Starts a turn; returns its id. */
export function answer(conversation: Conversation, text: string): string {
  const runId = randomUUID()
  const say = (item: Partial<ChatItem> & { id: string }) =>
    patch(conversation, {
      item: { role: 'assistant', text: '', streaming: false, at: new Date().toISOString(), ...item },
    })
  const phase = (name: string, message: string | null = null) =>
    patch(conversation, { run: { id: runId, phase: name, message } })
  const over = () => conversation.run?.id !== runId || conversation.run.phase === 'aborted'

  say({ id: `${runId}-user`, role: 'user', text })
  phase('thinking')
  const words = (
    text.includes('long') ? `${ANSWER}\n\n`.repeat(6) : text.includes('hello') ? `Echo: ${text}` : ANSWER
  ).split(/(?<=\s)/)
  const turn = async () => {
    await pause(TOKEN_MS * 6)
    if (text.includes('fail'))
      return phase('failed', 'The provider refused the request: the key has no credit.')
    say({
      id: `${runId}-think`,
      role: 'thinking',
      text: 'The person wants an overview. I look at the workspace first.',
    })
    if (!text.includes('hello')) {
      say({
        id: `${runId}-tool`,
        role: 'tool',
        tool: 'read',
        text: 'notes/today.md\n42 lines',
        streaming: true,
      })
      await pause(TOKEN_MS * 6)
      say({ id: `${runId}-tool`, role: 'tool', tool: 'read', text: 'notes/today.md\n42 lines' })
    }
    if (over()) return
    phase('answering')
    let told = ''
    for (const word of words) {
      if (over()) return say({ id: `${runId}-answer`, text: told })
      told += word
      say({ id: `${runId}-answer`, text: told, streaming: true })
      await pause(TOKEN_MS)
    }
    say({ id: `${runId}-answer`, text: told })
    phase('done')
  }
  void turn()
  return runId
}

export function abort(conversation: Conversation) {
  if (conversation.run) patch(conversation, { run: { ...conversation.run, phase: 'aborted' } })
}

function patch(conversation: Conversation, change: { item?: ChatItem; run?: Conversation['run'] }) {
  conversation.cursor += 1
  const { item, run } = change
  if (item) {
    const index = conversation.items.findIndex((known) => known.id === item.id)
    if (index < 0) conversation.items.push(item)
    else conversation.items[index] = item
  }
  if (run) conversation.run = run
  for (const listener of conversation.listeners)
    listener('patch', { cursor: `mock-${conversation.cursor}`, ...change })
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
