import { useId, type ComponentProps, type ReactNode } from 'react'

interface Frame {
  label: string
  help?: ReactNode
  /** What is wrong with the value; null when nothing is, or when it is too early to say. */
  error?: string | null
}

const CONTROL =
  'w-full rounded-lg border border-line-strong bg-raised px-2.5 shadow-xs placeholder:text-muted aria-invalid:border-bad'

function useFrame({ label, help, error }: Frame) {
  const id = useId()
  const noteId = `${id}-note`
  const wrap = (control: ReactNode) => (
    <div className="flex min-w-0 flex-col gap-1">
      <label htmlFor={id} className="text-xs font-medium">
        {label}
      </label>
      {control}
      {(error || help) && (
        <p
          id={noteId}
          role={error ? 'alert' : undefined}
          className={`text-xs ${error ? 'text-bad' : 'text-muted'}`}
        >
          {error ?? help}
        </p>
      )}
    </div>
  )
  const aria = {
    id,
    'aria-invalid': Boolean(error) || undefined,
    'aria-describedby': error || help ? noteId : undefined,
  }
  return { aria, wrap }
}

export function TextField({ label, help, error, ...input }: Frame & ComponentProps<'input'>) {
  const { aria, wrap } = useFrame({ label, help, error })
  return wrap(<input {...input} {...aria} className={`h-9 ${CONTROL}`} />)
}

export function TextArea({ label, help, error, ...input }: Frame & ComponentProps<'textarea'>) {
  const { aria, wrap } = useFrame({ label, help, error })
  return wrap(<textarea {...input} {...aria} className={`py-1.5 ${CONTROL}`} />)
}

export function SelectField({ label, help, error, ...select }: Frame & ComponentProps<'select'>) {
  const { aria, wrap } = useFrame({ label, help, error })
  return wrap(<select {...select} {...aria} className={`select h-9 ${CONTROL}`} />)
}

interface Choice<T extends string> {
  value: T
  label: string
  help: string
}

/** A few exclusive choices, each with a sentence. */
export function ChoiceField<T extends string>(props: {
  legend: string
  value: T
  choices: readonly Choice<T>[]
  onChange: (value: T) => void
}) {
  const name = useId()
  return (
    <fieldset className="flex min-w-0 flex-col gap-1">
      <legend className="mb-1 text-xs font-medium">{props.legend}</legend>
      <div className="grid gap-2 sm:grid-cols-2">
        {props.choices.map((choice) => (
          <label
            key={choice.value}
            className="flex cursor-pointer items-start gap-2.5 rounded-lg border border-line-strong bg-raised px-3 py-2 shadow-xs has-checked:border-accent has-checked:bg-accent-soft has-focus-visible:outline-2 has-focus-visible:outline-accent"
          >
            <input
              type="radio"
              name={name}
              value={choice.value}
              checked={props.value === choice.value}
              onChange={() => props.onChange(choice.value)}
              className="mt-0.5 accent-accent outline-none"
              aria-describedby={`${name}-${choice.value}`}
              aria-label={choice.label}
            />
            <span className="min-w-0">
              <span className="block font-medium">{choice.label}</span>
              <span id={`${name}-${choice.value}`} className="block text-xs text-muted">
                {choice.help}
              </span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}
