import { ArrowUp, Square } from 'lucide-react'
import { useLayoutEffect, useRef, useState, type KeyboardEvent } from 'react'
import { t } from '../i18n/t'
import { Button } from '../ui/Button'
import { noRecall, recall } from './history'

/** The longest message, in characters. */
export const MESSAGE_CHARS_MAX = 100_000

interface Props {
  instanceName: string
  text: string
  onText: (text: string) => void
  /** Messages sent earlier, oldest first. */
  sent: readonly string[]
  /** Why nothing can be sent now; null when it can. */
  refusal: string | null
  busy: boolean
  onSend: (text: string) => void
  onStop: () => void
}

export function Composer(props: Props) {
  const { text, onText, sent } = props
  const field = useRef<HTMLTextAreaElement>(null)
  const [position, setPosition] = useState(() => noRecall(sent))

  useLayoutEffect(() => {
    const element = field.current
    if (!element) return
    element.style.height = 'auto'
    element.style.height = `${element.scrollHeight}px`
  })

  const tooLong = text.length > MESSAGE_CHARS_MAX
  const empty = text.trim() === ''
  const send = () => {
    if (empty || tooLong || props.refusal) return
    props.onSend(text.trim())
    onText('')
    setPosition(noRecall([...sent, text]))
  }

  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    // Enter also ends a word in input methods for Chinese, Japanese and others.
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      send()
      return
    }
    const { selectionStart, selectionEnd, value } = event.currentTarget
    if (selectionStart !== selectionEnd || event.shiftKey || event.altKey || event.metaKey || event.ctrlKey)
      return
    const atFirstLine = !value.slice(0, selectionStart).includes('\n')
    const atLastLine = !value.slice(selectionEnd).includes('\n')
    const step =
      event.key === 'ArrowUp' && atFirstLine ? -1 : event.key === 'ArrowDown' && atLastLine ? 1 : null
    const found = step && recall(sent, position, value, step)
    if (!found) return
    event.preventDefault()
    setPosition(found.state)
    onText(found.text)
  }

  const note = tooLong
    ? t('chat.tooLong', { count: text.length, max: MESSAGE_CHARS_MAX })
    : (props.refusal ?? t('chat.hint'))

  return (
    <form
      className="mx-auto w-full max-w-3xl px-4 pt-1 pb-3"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <div className="flex items-end gap-2 rounded-2xl border border-line-strong bg-raised p-1.5 pl-3.5 shadow-sm focus-within:border-accent">
        <textarea
          ref={field}
          rows={1}
          value={text}
          // On a phone it would open the keyboard over the conversation.
          autoFocus={window.matchMedia?.('(pointer: fine)').matches}
          aria-label={t('chat.message')}
          aria-describedby="composer-note"
          aria-invalid={tooLong}
          placeholder={t('chat.placeholder', { name: props.instanceName })}
          onChange={(event) => {
            onText(event.target.value)
            setPosition(noRecall(sent))
          }}
          onKeyDown={onKeyDown}
          className="max-h-48 min-h-8 flex-1 resize-none bg-transparent py-1.5 leading-5 outline-none placeholder:text-muted"
        />
        {props.busy ? (
          <Button
            type="button"
            look="plain"
            label={t('chat.stop')}
            onClick={props.onStop}
            icon={<Square size={14} fill="currentColor" />}
            round
          />
        ) : (
          <Button
            type="submit"
            look="primary"
            label={t('chat.send')}
            icon={<ArrowUp size={16} />}
            round
            disabled={empty || tooLong || props.refusal !== null}
          />
        )}
      </div>
      <p
        id="composer-note"
        className={`px-3.5 pt-1.5 text-xs ${tooLong ? 'text-bad' : props.refusal ? 'text-warn' : 'text-muted max-sm:hidden'}`}
      >
        {note}
      </p>
    </form>
  )
}
