import { Dialog } from '@base-ui/react/dialog'
import { useQuery } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'
import { LayoutGrid, Search, Settings } from 'lucide-react'
import { useId, useState, type KeyboardEvent, type ReactNode } from 'react'
import { instancesQuery } from '../api/hub'
import type { Instance } from '../api/types'
import { t } from '../i18n/t'
import { searchInstances } from '../instances/can'
import { PhaseDot } from './PhaseBadge'

/** More than this is a reason to type one more letter. */
const ENTRIES_MAX = 50

interface Entry {
  id: string
  label: string
  note: string
  icon: ReactNode
  go: () => void
}

/** Goes to an instance or a page by typing a part of its name. */
export default function Palette({ onClose }: { onClose: () => void }) {
  return (
    <Dialog.Root open onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fade fixed inset-0 z-40 bg-black/35" />
        <Dialog.Popup className="pop fixed top-[10vh] left-1/2 z-50 flex max-h-[70vh] w-[calc(100vw-1.5rem)] max-w-md -translate-x-1/2 flex-col overflow-hidden rounded-2xl border border-line bg-surface shadow-xl outline-none">
          <Dialog.Title className="sr-only">{t('palette.title')}</Dialog.Title>
          <PaletteBody onClose={onClose} />
          <Dialog.Close className="sr-only">{t('action.close')}</Dialog.Close>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

function PaletteBody({ onClose }: { onClose: () => void }) {
  const { data } = useQuery(instancesQuery)
  const [query, setQuery] = useState('')
  const [active, setActive] = useState(0)
  const listId = useId()
  const entries = useEntries(data?.instances ?? [], query)

  const choose = (entry: Entry | undefined) => {
    if (!entry) return
    onClose()
    entry.go()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step && entries.length > 0) {
      event.preventDefault()
      setActive((active + step + entries.length) % entries.length)
    } else if (event.key === 'Enter' && !event.nativeEvent.isComposing) {
      event.preventDefault()
      choose(entries[active])
    }
  }

  return (
    <>
      <div className="flex items-center gap-2.5 border-b border-line px-4">
        <Search size={16} className="text-muted" aria-hidden />
        <input
          role="combobox"
          aria-label={t('palette.search')}
          aria-expanded
          aria-controls={listId}
          aria-activedescendant={entries[active] && `${listId}-${active}`}
          aria-autocomplete="list"
          placeholder={t('palette.search')}
          value={query}
          onChange={(event) => {
            setQuery(event.target.value)
            setActive(0)
          }}
          onKeyDown={onKeyDown}
          autoFocus
          autoComplete="off"
          spellCheck={false}
          className="h-12 flex-1 bg-transparent outline-none placeholder:text-muted"
        />
      </div>
      <div
        id={listId}
        role="listbox"
        aria-label={t('palette.title')}
        className="min-h-0 overflow-y-auto p-1.5"
      >
        {entries.map((entry, index) => (
          <div
            key={entry.id}
            id={`${listId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === active}
            ref={(element) => {
              if (index === active) element?.scrollIntoView?.({ block: 'nearest' })
            }}
            onPointerMove={() => setActive(index)}
            onClick={() => choose(entry)}
            onKeyDown={onKeyDown}
            className="flex h-9 cursor-pointer items-center gap-2.5 rounded-lg px-2.5 aria-selected:bg-hover"
          >
            <span className="flex w-4 justify-center text-muted">{entry.icon}</span>
            <span className="flex-1 truncate">{entry.label}</span>
            <span className="text-xs text-muted">{entry.note}</span>
          </div>
        ))}
        {entries.length === 0 && <p className="px-3 py-6 text-center text-muted">{t('palette.none')}</p>}
      </div>
    </>
  )
}

function useEntries(instances: Instance[], query: string): Entry[] {
  const router = useRouter()
  const pages: Entry[] = [
    {
      id: 'page-instances',
      label: t('nav.instances'),
      note: '',
      icon: <LayoutGrid size={15} aria-hidden />,
      go: () => void router.navigate({ to: '/' }),
    },
    {
      id: 'page-settings',
      label: t('nav.settings'),
      note: '',
      icon: <Settings size={15} aria-hidden />,
      go: () => void router.navigate({ to: '/settings' }),
    },
  ]
  const found = searchInstances(instances, query).map((instance) => ({
    id: instance.id,
    label: instance.displayName ? `${instance.displayName} (${instance.name})` : instance.name,
    note: t(`phase.${instance.phase}`),
    icon: <PhaseDot phase={instance.phase} />,
    go: () => void router.navigate({ to: '/i/$name', params: { name: instance.name } }),
  }))
  const wanted = query.trim().toLowerCase()
  return [
    ...found.slice(0, ENTRIES_MAX),
    ...pages.filter((page) => page.label.toLowerCase().includes(wanted)),
  ]
}
