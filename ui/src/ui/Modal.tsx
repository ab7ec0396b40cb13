import { Dialog } from '@base-ui/react/dialog'
import { X } from 'lucide-react'
import type { ReactNode, RefObject } from 'react'
import { t } from '../i18n/t'

interface Props {
  open: boolean
  onClose: () => void
  title: string
  description?: string
  /** Where the focus goes first; the first control by default. */
  initialFocus?: RefObject<HTMLElement | null>
  /** Keeps a stray click outside from closing a half-filled form. */
  sticky?: boolean
  children: ReactNode
}

/** A dialog over the page. Focus stays inside and returns to where it came from. */
export function Modal({ open, onClose, title, description, initialFocus, sticky, children }: Props) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()} disablePointerDismissal={sticky}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fade fixed inset-0 z-40 bg-black/35 backdrop-blur-[1px]" />
        <Dialog.Popup
          initialFocus={initialFocus}
          className="pop fixed z-50 flex max-h-[calc(100dvh-1rem)] w-[calc(100vw-1rem)] max-w-lg flex-col rounded-2xl border border-line bg-surface shadow-xl outline-none max-sm:bottom-2 max-sm:left-2 sm:top-[8vh] sm:left-1/2 sm:max-h-[84vh] sm:-translate-x-1/2"
        >
          <header className="flex items-start gap-3 px-5 pt-4 pb-3">
            <div className="min-w-0 flex-1">
              <Dialog.Title className="text-base font-semibold break-words">{title}</Dialog.Title>
              {description && (
                <Dialog.Description className="mt-0.5 text-muted">{description}</Dialog.Description>
              )}
            </div>
            <Dialog.Close
              aria-label={t('action.close')}
              className="-mr-1.5 inline-flex size-8 cursor-pointer items-center justify-center rounded-lg text-muted hover:bg-hover hover:text-text"
            >
              <X size={16} aria-hidden />
            </Dialog.Close>
          </header>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

export function ModalBody({ children }: { children: ReactNode }) {
  return <div className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto px-5 py-1">{children}</div>
}

export function ModalFooter({ children }: { children: ReactNode }) {
  return <footer className="flex flex-wrap justify-end gap-2 px-5 pt-3 pb-4">{children}</footer>
}
