import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { addProvider, hubKeys } from '../api/hub'
import type { ProviderCreate } from '../api/types'
import { t } from '../i18n/t'
import { isInstanceName } from '../lib/name'
import { Button } from '../ui/Button'
import { FormError } from '../ui/blocks'
import { SelectField, TextArea, TextField } from '../ui/Field'
import { Modal, ModalBody, ModalFooter } from '../ui/Modal'
import { toast } from '../ui/toast'

export function ProviderDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Modal open={open} onClose={onClose} title={t('settings.addProvider')} sticky>
      <ProviderForm onClose={onClose} />
    </Modal>
  )
}

const EMPTY = { name: '', kind: 'openai' as ProviderCreate['kind'], baseUrl: '', apiKey: '', models: '' }

function ProviderForm({ onClose }: { onClose: () => void }) {
  const client = useQueryClient()
  const [draft, setDraft] = useState(EMPTY)
  const [submitted, setSubmitted] = useState(false)
  const add = useMutation({
    mutationFn: () => addProvider({ ...draft, models: draft.models.split(/[\s,]+/).filter(Boolean) }),
    onSuccess: async () => {
      toast.info(t('settings.providerAdded', { name: draft.name }))
      onClose()
      await client.invalidateQueries({ queryKey: hubKeys.providers })
    },
  })
  const errors = {
    name: isInstanceName(draft.name) ? null : t('create.nameRule'),
    baseUrl: /^https?:\/\/[^\s/]/.test(draft.baseUrl) ? null : t('settings.urlRule'),
    apiKey: draft.apiKey ? null : t('settings.required'),
    models: draft.models.trim() ? null : t('settings.required'),
  }
  const bind = (field: keyof typeof errors) => ({
    value: draft[field],
    onChange: (event: { target: { value: string } }) => setDraft({ ...draft, [field]: event.target.value }),
    error: submitted ? errors[field] : null,
    autoComplete: 'off',
    spellCheck: false,
    required: true,
  })
  return (
    <form
      noValidate
      className="flex min-h-0 flex-col"
      onSubmit={(event) => {
        event.preventDefault()
        setSubmitted(true)
        if (Object.values(errors).every((error) => error === null) && !add.isPending) add.mutate()
      }}
    >
      <ModalBody>
        <FormError error={add.error} />
        <TextField {...bind('name')} label={t('settings.providerName')} />
        <SelectField
          label={t('settings.providerKind')}
          value={draft.kind}
          onChange={(event) => setDraft({ ...draft, kind: event.target.value as ProviderCreate['kind'] })}
        >
          <option value="openai">{t('settings.kindOpenai')}</option>
          <option value="anthropic">{t('settings.kindAnthropic')}</option>
        </SelectField>
        <TextField {...bind('baseUrl')} label={t('settings.providerUrl')} type="url" placeholder="https://" />
        <TextField
          {...bind('apiKey')}
          label={t('settings.providerKey')}
          help={t('settings.providerKeyHelp')}
          type="password"
          autoComplete="new-password"
        />
        <TextArea
          {...bind('models')}
          label={t('settings.providerModels')}
          help={t('settings.providerModelsHelp')}
          rows={3}
        />
      </ModalBody>
      <ModalFooter>
        <Button onClick={onClose}>{t('action.cancel')}</Button>
        <Button type="submit" look="primary" busy={add.isPending}>
          {t('settings.addProvider')}
        </Button>
      </ModalFooter>
    </form>
  )
}
