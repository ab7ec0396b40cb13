import { Tooltip } from '@base-ui/react/tooltip'
import { LoaderCircle } from 'lucide-react'
import { useId, type ButtonHTMLAttributes, type ReactNode } from 'react'

type Look = 'primary' | 'plain' | 'quiet' | 'danger'

export interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'aria-label' | 'title'> {
  look?: Look
  size?: 'small' | 'normal'
  icon?: ReactNode
  /** The accessible name of a button that shows only its icon; also its tooltip. */
  label?: string
  /** Why the button cannot be used now. It stays visible and focusable and says so. */
  refusal?: string | null
  /** Work started by this button is under way. */
  busy?: boolean
  round?: boolean
}

const LOOKS: Record<Look, string> = {
  primary: 'bg-accent text-on-accent hover:bg-accent-strong shadow-xs',
  plain: 'border border-line-strong bg-raised hover:bg-hover shadow-xs',
  quiet: 'text-muted hover:bg-hover hover:text-text',
  danger: 'bg-bad-fill text-on-accent hover:brightness-110 shadow-xs',
}

export function Button({
  look = 'plain',
  size = 'normal',
  icon,
  label,
  refusal,
  busy,
  round,
  ...rest
}: ButtonProps) {
  const reasonId = useId()
  const { children, className = '', onClick, type = 'button', disabled, ...attributes } = rest
  const blocked = Boolean(refusal) || busy === true
  const dims = children
    ? size === 'small'
      ? 'h-7 px-2.5 text-xs'
      : 'h-8 px-3'
    : size === 'small'
      ? 'size-7'
      : 'size-8'
  const button = (
    <button
      type={type}
      {...attributes}
      disabled={disabled}
      aria-label={label}
      aria-disabled={blocked || undefined}
      aria-busy={busy || undefined}
      aria-describedby={refusal ? reasonId : attributes['aria-describedby']}
      onClick={(event) => {
        if (blocked) event.preventDefault()
        else onClick?.(event)
      }}
      className={`inline-flex shrink-0 cursor-pointer items-center justify-center gap-1.5 font-medium whitespace-nowrap transition-colors disabled:cursor-default disabled:opacity-45 aria-disabled:cursor-default aria-disabled:opacity-45 ${round ? 'rounded-full' : 'rounded-lg'} ${LOOKS[look]} ${dims} ${className}`}
    >
      {busy ? (
        <LoaderCircle size={15} className="animate-spin" aria-hidden />
      ) : (
        icon && <span aria-hidden>{icon}</span>
      )}
      {children}
    </button>
  )
  const tip = refusal ?? label
  if (!tip) return button
  return (
    <Tooltip.Root>
      <Tooltip.Trigger render={button} />
      {refusal && (
        <span id={reasonId} className="sr-only">
          {refusal}
        </span>
      )}
      <Tooltip.Portal>
        <Tooltip.Positioner sideOffset={6} className="z-60">
          <Tooltip.Popup className="max-w-64 rounded-md bg-tip px-2 py-1 text-xs text-on-tip shadow-md">
            {tip}
          </Tooltip.Popup>
        </Tooltip.Positioner>
      </Tooltip.Portal>
    </Tooltip.Root>
  )
}
