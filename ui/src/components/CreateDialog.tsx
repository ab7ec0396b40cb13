import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { toFailure } from '../api/errors'
import { createInstance, hubKeys, providersQuery } from '../api/hub'
import { withInstance } from '../api/live'
import type { InstanceList } from '../api/types'
import { t } from '../i18n/t'
import { draftErrors, emptyDraft, toRequest, type Draft } from '../instances/draft'
import { Button } from '../ui/Button'
import { FormError } from '../ui/blocks'
import { ChoiceField, SelectField, TextField } from '../ui/Field'
import { Modal, ModalBody, ModalFooter } from '../ui/Modal'
import { CreateProgress } from './CreateProgress'

/** Asks for what a new instance needs, then shows how its creation goes. */
export default function CreateDialog({ onClose }: { onClose: () => void }) {
  const [created, setCreated] = useState<{ id: string; name: string } | null>(null)
  const nameField = useRef<HTMLInputElement>(null)
  if (created) return <CreateProgress {...created} onClose={onClose} />
  return (
    <Modal open onClose={onClose} title={t('create.title')} sticky initialFocus={nameField}>
      <CreateForm onClose={onClose} onCreated={setCreated} nameField={nameField} />
    </Modal>
  )
}

interface FormProps {
  onClose: () => void
  onCreated: (instance: { id: string; name: string }) => void
  nameField: React.RefObject<HTMLInputElement | null>
}

function CreateForm({ onClose, onCreated, nameField }: FormProps) {
  const client = useQueryClient()
  const providers = useQuery(providersQuery)
  const [draft, setDraft] = useState(emptyDraft)
  const [touched, setTouched] = useState<Partial<Record<keyof Draft, boolean>>>({})
  const create = useMutation({
    mutationFn: () => createInstance(toRequest(draft)),
    onSuccess: ({ instance, job }) => {
      const shown = job ? { ...instance, job } : instance
      client.setQueryData<InstanceList>(hubKeys.instances, (list) => list && withInstance(list, shown))
      onCreated(instance)
    },
  })

  const errors = draftErrors(draft)
  const refused = create.error ? toFailure(create.error) : null
  const nameTaken = refused?.code === 'instance_name_in_use' && !touched.name
  const bind = (field: 'name' | 'displayName' | 'memoryMiB' | 'cpus' | 'pids') => ({
    value: draft[field],
    onChange: (event: { target: { value: string } }) => setDraft({ ...draft, [field]: event.target.value }),
    // Leaving an untouched empty field is not yet a mistake.
    onBlur: () => draft[field] !== '' && setTouched({ ...touched, [field]: true }),
    error: (touched[field] ? errors[field] : null) ?? null,
  })
  const submit = () => {
    setTouched({ name: true, displayName: true, memoryMiB: true, cpus: true, pids: true })
    if (errors.name) nameField.current?.focus()
    if (Object.keys(errors).length > 0 || create.isPending) return
    setTouched({})
    create.mutate()
  }
  const name = bind('name')

  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
      className="flex min-h-0 flex-col"
    >
      <ModalBody>
        {!nameTaken && <FormError error={create.error} />}
        <TextField
          {...name}
          ref={nameField}
          label={t('create.name')}
          help={t('create.nameHelp')}
          error={nameTaken ? t('create.nameInUse') : name.error}
          required
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
        <TextField {...bind('displayName')} label={t('create.displayName')} autoComplete="off" />
        <SelectField
          label={t('create.model')}
          value={draft.model}
          onChange={(event) => setDraft({ ...draft, model: event.target.value })}
        >
          <option value="">{t('create.modelDefault')}</option>
          {providers.data?.items.map((provider) => (
            <optgroup key={provider.name} label={provider.name}>
              {provider.models.map((model) => (
                <option key={model.id} value={`${provider.name}/${model.id}`}>
                  {model.name || model.id}
                </option>
              ))}
            </optgroup>
          ))}
        </SelectField>
        <ChoiceField
          legend={t('create.egress')}
          value={draft.egress}
          onChange={(egress) => setDraft({ ...draft, egress })}
          choices={[
            { value: 'closed', label: t('create.egressClosed'), help: t('create.egressClosedHelp') },
            { value: 'open', label: t('create.egressOpen'), help: t('create.egressOpenHelp') },
          ]}
        />
        <fieldset className="grid grid-cols-3 items-start gap-3">
          <legend className="sr-only">{t('create.limits')}</legend>
          <TextField {...bind('memoryMiB')} label={t('create.memory')} inputMode="numeric" />
          <TextField {...bind('cpus')} label={t('create.cpus')} inputMode="decimal" />
          <TextField {...bind('pids')} label={t('create.pids')} inputMode="numeric" />
        </fieldset>
      </ModalBody>
      <ModalFooter>
        <Button onClick={onClose}>{t('action.cancel')}</Button>
        <Button type="submit" look="primary" busy={create.isPending}>
          {t('create.submit')}
        </Button>
      </ModalFooter>
    </form>
  )
}
