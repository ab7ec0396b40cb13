import { Toast } from '@base-ui/react/toast'
import { X } from 'lucide-react'
import { toFailure } from '../api/errors'
import { t } from '../i18n/t'

const ERROR_TOAST_MS = 10_000
const manager = Toast.createToastManager()

/** Short news about something that the person just did. */
export const toast = {
  info: (title: string) => void manager.add({ title, priority: 'low' }),
  failure: (title: string, error: unknown) =>
    void manager.add({
      title,
      description: toFailure(error).message,
      type: 'error',
      priority: 'high',
      timeout: ERROR_TOAST_MS,
    }),
}

export function Toasts() {
  return (
    <Toast.Provider toastManager={manager}>
      <Toast.Portal>
        <Toast.Viewport className="fixed right-3 bottom-3 left-3 z-70 flex flex-col-reverse gap-2 sm:left-auto sm:w-90">
          <ToastList />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  )
}

function ToastList() {
  const { toasts } = Toast.useToastManager()
  return toasts.map((one) => (
    <Toast.Root
      key={one.id}
      toast={one}
      className={`fade flex items-start gap-3 rounded-xl border bg-surface px-3.5 py-2.5 shadow-lg ${one.type === 'error' ? 'border-bad/40' : 'border-line'}`}
    >
      <Toast.Content className="min-w-0 flex-1">
        <Toast.Title className={`font-medium break-words ${one.type === 'error' ? 'text-bad' : ''}`} />
        <Toast.Description className="mt-0.5 text-xs break-words text-muted" />
      </Toast.Content>
      <Toast.Close
        aria-label={t('action.dismiss')}
        className="-mr-1 inline-flex size-6 cursor-pointer items-center justify-center rounded-md text-muted hover:bg-hover"
      >
        <X size={14} aria-hidden />
      </Toast.Close>
    </Toast.Root>
  ))
}
