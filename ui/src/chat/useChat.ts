import { useCallback, useEffect, useReducer, useState } from 'react'
import { toFailure } from '../api/errors'
import type { InstanceApi } from '../api/instance'
import { openStream, type StreamState } from '../api/stream'
import type { ChatPatch, ChatSnapshot, StreamTrouble } from '../api/types'
import { randomKey } from '../lib/key'
import { pendingOf, type Outgoing } from './outbox'
import { emptyChat, reduceChat } from './state'

/** One session of one instance, live. Mount it anew (`key`) for another session or instance. */
export function useChat(api: InstanceApi, session: string, listen: boolean) {
  const [chat, dispatch] = useReducer(reduceChat, emptyChat)
  const [connection, setConnection] = useState<StreamState>('connecting')
  const [outbox, setOutbox] = useState<Outgoing[]>([])

  useEffect(() => {
    if (!listen) return
    return openStream({
      url: api.chatStreamUrl(session),
      onState: setConnection,
      on: {
        snapshot: (data) => dispatch({ type: 'snapshot', data: data as ChatSnapshot }),
        patch: (data) => dispatch({ type: 'patch', data: data as ChatPatch }),
        unavailable: (data) => dispatch({ type: 'unavailable', data: data as StreamTrouble }),
      },
    })
  }, [api, session, listen])

  const pending = pendingOf(outbox, chat)
  // An entry that was shown once must not come back when the conversation is cleared later.
  if (pending.length < outbox.length) setOutbox(pending)

  const post = useCallback(
    async (entry: Outgoing) => {
      const change = (next: Partial<Outgoing>) =>
        setOutbox((all) => all.map((one) => (one.key === entry.key ? { ...one, ...next } : one)))
      change({ status: 'sending', error: null })
      try {
        const { runId } = await api.sendMessage(session, entry.text, entry.key)
        change({ status: 'accepted', runId })
      } catch (error) {
        change({ status: 'failed', error: toFailure(error).message })
      }
    },
    [api, session],
  )

  const send = (text: string) => {
    const entry: Outgoing = {
      key: randomKey(),
      text,
      knownIds: new Set(chat.items.map((item) => item.id)),
      status: 'sending',
      runId: null,
      error: null,
    }
    setOutbox((all) => [...all, entry])
    void post(entry)
  }
  const discard = (key: string) => setOutbox((all) => all.filter((entry) => entry.key !== key))

  return { chat, connection, pending, send, retry: post, discard }
}
