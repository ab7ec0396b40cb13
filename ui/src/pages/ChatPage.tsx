import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { MessageCircle, Plus } from 'lucide-react'
import { useEffect, useState } from 'react'
import type { ChatSession } from '../api/types'
import { Composer } from '../chat/Composer'
import { keepDraft, readDraft } from '../chat/drafts'
import type { Outgoing } from '../chat/outbox'
import { isBusy } from '../chat/state'
import { Transcript } from '../chat/Transcript'
import { useChat } from '../chat/useChat'
import { useHubState } from '../components/hubState'
import { useInstanceScope } from '../components/instanceScope'
import { t } from '../i18n/t'
import { instanceCan } from '../instances/can'
import { randomKey } from '../lib/key'
import { Button } from '../ui/Button'
import { Banner, Empty, Loading } from '../ui/blocks'
import { toast } from '../ui/toast'

/** The session that every agent has. */
export const MAIN_SESSION = 'main'
/** The same session as agents themselves may call it. */
const AGENT_MAIN_SESSION = 'agent:main:main'
const SESSION_SUFFIX_CHARS = 8

const route = getRouteApi('/_app/i/$name/')

export function ChatPage() {
  const { session = MAIN_SESSION } = route.useSearch()
  const { api } = useInstanceScope()
  return (
    <div className="flex h-full min-h-0 flex-col">
      <SessionBar session={session} />
      <Conversation key={`${api.id}/${session}`} session={session} />
    </div>
  )
}

function SessionBar({ session }: { session: string }) {
  const { api, instance } = useInstanceScope()
  const navigate = route.useNavigate()
  const sessions = useQuery({ ...api.sessions, enabled: instanceCan.chat(instance) === null })
  const known = sessions.data?.items ?? []
  const listed = [
    ...(known.some((one) => isMain(one.key)) ? [] : [{ key: MAIN_SESSION, title: null }]),
    ...known,
    ...(session === MAIN_SESSION || known.some((one) => one.key === session)
      ? []
      : [{ key: session, title: null }]),
  ]
  const open = (key: string) => void navigate({ search: isMain(key) ? {} : { session: key } })
  const selected =
    listed.find((one) => one.key === session)?.key ?? listed.find((one) => isMain(one.key))?.key
  return (
    <div className="flex items-center gap-2 border-b border-line px-4 py-1.5 sm:px-6">
      <select
        aria-label={t('chat.session')}
        value={selected}
        onChange={(event) => open(event.target.value)}
        className="select h-8 max-w-64 min-w-0 rounded-lg border border-transparent bg-transparent pl-2 text-xs font-medium hover:bg-hover"
      >
        {listed.map((one) => (
          <option key={one.key} value={one.key}>
            {sessionTitle(one)}
          </option>
        ))}
      </select>
      <Button
        size="small"
        look="quiet"
        icon={<Plus size={14} />}
        refusal={instanceCan.chat(instance)}
        onClick={() => open(`chat-${randomKey().slice(0, SESSION_SUFFIX_CHARS)}`)}
      >
        {t('chat.newSession')}
      </Button>
    </div>
  )
}

function Conversation({ session }: { session: string }) {
  const { api, instance } = useInstanceScope()
  const refusal = instanceCan.chat(instance)
  const isReachable = instance.phase === 'running' || instance.phase === 'degraded'
  const { chat, connection, pending, send, retry, discard } = useChat(api, session, isReachable)
  const place = `${api.id}/${session}`
  const [text, setText] = useState(() => readDraft(place))
  useEffect(() => keepDraft(place, text), [place, text])

  const abort = useMutation({
    mutationFn: () => api.abort(session),
    onError: (error) => toast.failure(t('chat.stopFailed'), error),
  })
  const hub = useHubState()
  const busy = isBusy(chat.run)
  const client = useQueryClient()
  // A first message makes a session, a turn may give it a title.
  useEffect(() => {
    if (!busy) void client.invalidateQueries({ queryKey: api.sessions.queryKey })
  }, [api, busy, client])

  const sent = chat.items.filter((item) => item.role === 'user').map((item) => item.text)
  const editAgain = (entry: Outgoing) => {
    discard(entry.key)
    setText((draft) => (draft ? `${entry.text}\n${draft}` : entry.text))
  }
  const name = instance.displayName || instance.name
  const isEmpty = chat.items.length === 0 && pending.length === 0 && !busy

  return (
    <>
      {isReachable && connection === 'lost' && hub.stream !== 'lost' && (
        <Banner tone="warn">{t('chat.lost')}</Banner>
      )}
      {isReachable && chat.unavailable && (
        <Banner tone="warn">{t('chat.unavailable', { message: chat.unavailable.message })}</Banner>
      )}
      {isEmpty ? (
        <div className="min-h-0 flex-1 overflow-y-auto">
          {chat.loaded || !isReachable || chat.unavailable ? (
            <Empty
              icon={<MessageCircle size={24} aria-hidden />}
              title={t(refusal ? 'chat.refusedTitle' : 'chat.emptyTitle', { name })}
              body={refusal ?? t('chat.emptyBody')}
            />
          ) : (
            <Loading />
          )}
        </div>
      ) : (
        <Transcript
          chat={chat}
          pending={pending}
          onRetry={(entry) => void retry(entry)}
          onDiscard={editAgain}
        />
      )}
      <Composer
        instanceName={name}
        text={text}
        onText={setText}
        sent={sent}
        refusal={refusal}
        busy={busy}
        onSend={send}
        onStop={() => abort.mutate()}
      />
    </>
  )
}

function isMain(key: string): boolean {
  return key === MAIN_SESSION || key === AGENT_MAIN_SESSION
}

function sessionTitle(session: Pick<ChatSession, 'key' | 'title'>): string {
  return session.title || (isMain(session.key) ? t('chat.sessionMain') : session.key)
}
