import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import { instanceApi } from '../api/instance'
import type { Instance } from '../api/types'
import { t } from '../i18n/t'
import { Button } from '../ui/Button'
import { FormError } from '../ui/blocks'
import { ChoiceField, TextField } from '../ui/Field'
import { Modal, ModalBody, ModalFooter } from '../ui/Modal'
import { toast } from '../ui/toast'

interface Props {
  instance: Instance
  onClose: () => void
  onRemoved?: () => void
}

export default function RemoveDialog({ instance, onClose, onRemoved }: Props) {
  return (
    <Modal
      open
      onClose={onClose}
      title={t('remove.title', { name: instance.name })}
      description={t('remove.body')}
    >
      <RemoveForm instance={instance} onClose={onClose} onRemoved={onRemoved} />
    </Modal>
  )
}

function RemoveForm({ instance, onClose, onRemoved }: Props) {
  const [data, setData] = useState<'keep' | 'delete'>('keep')
  const [typed, setTyped] = useState('')
  const remove = useMutation({
    mutationFn: () => instanceApi(instance.id).remove(data),
    onSuccess: () => {
      toast.info(t('instance.removed', { name: instance.name }))
      onClose()
      onRemoved?.()
    },
  })
  const refusal = typed === instance.name ? null : t('remove.typeFirst')
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (!refusal && !remove.isPending) remove.mutate()
      }}
      className="flex min-h-0 flex-col"
    >
      <ModalBody>
        <FormError error={remove.error} />
        <ChoiceField
          legend={t('remove.data')}
          value={data}
          onChange={setData}
          choices={[
            { value: 'keep', label: t('remove.keep'), help: t('remove.keepHelp') },
            { value: 'delete', label: t('remove.delete'), help: t('remove.deleteHelp') },
          ]}
        />
        <TextField
          label={t('remove.confirm', { name: instance.name })}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
        />
      </ModalBody>
      <ModalFooter>
        <Button onClick={onClose}>{t('action.cancel')}</Button>
        <Button type="submit" look="danger" refusal={refusal} busy={remove.isPending}>
          {data === 'keep' ? t('remove.submitKeep') : t('remove.submitDelete')}
        </Button>
      </ModalFooter>
    </form>
  )
}
