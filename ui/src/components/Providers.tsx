import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { hubKeys, providersQuery, removeProvider } from '../api/hub'
import type { Provider } from '../api/types'
import { t } from '../i18n/t'
import { Button } from '../ui/Button'
import { Card, Failure, FormError, Loading, Section } from '../ui/blocks'
import { Modal, ModalBody, ModalFooter } from '../ui/Modal'
import { toast } from '../ui/toast'
import { ProviderDialog } from './ProviderDialog'

/** The providers that instances may get models from. */
export function Providers() {
  const providers = useQuery(providersQuery)
  const [adding, setAdding] = useState(false)
  return (
    <Section
      title={t('settings.providers')}
      body={t('settings.providersBody')}
      action={
        <Button icon={<Plus size={15} />} onClick={() => setAdding(true)}>
          {t('settings.addProvider')}
        </Button>
      }
    >
      <Card>
        {providers.isPending && <Loading />}
        {providers.isError && !providers.data && (
          <Failure error={providers.error} onRetry={() => void providers.refetch()} />
        )}
        <ul className="divide-y divide-line">
          {providers.data?.items.map((provider) => (
            <ProviderRow key={provider.name} provider={provider} />
          ))}
        </ul>
      </Card>
      <ProviderDialog open={adding} onClose={() => setAdding(false)} />
    </Section>
  )
}

function ProviderRow({ provider }: { provider: Provider }) {
  const [removing, setRemoving] = useState(false)
  const models = provider.models.map((model) => model.name || model.id).join(', ')
  return (
    <li className="flex items-center gap-3 py-2.5 pr-2 pl-4">
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-baseline gap-x-2">
          <span className="font-medium">{provider.name}</span>
          <span className="text-xs text-muted">
            {provider.builtIn ? t('settings.builtIn') : provider.kind}
          </span>
          {provider.baseUrl && (
            <span className="truncate font-mono text-xs text-muted max-sm:hidden">{provider.baseUrl}</span>
          )}
        </p>
        <p className="truncate text-xs text-muted" title={models}>
          {models || t('settings.noModels')}
        </p>
      </div>
      {!provider.builtIn && (
        <Button
          look="quiet"
          label={t('settings.removeProvider', { name: provider.name })}
          icon={<Trash2 size={15} />}
          onClick={() => setRemoving(true)}
        />
      )}
      <RemoveProvider name={provider.name} open={removing} onClose={() => setRemoving(false)} />
    </li>
  )
}

function RemoveProvider({ name, open, onClose }: { name: string; open: boolean; onClose: () => void }) {
  const client = useQueryClient()
  const remove = useMutation({
    mutationFn: () => removeProvider(name),
    onSuccess: async () => {
      toast.info(t('settings.providerRemoved', { name }))
      onClose()
      await client.invalidateQueries({ queryKey: hubKeys.providers })
    },
  })
  return (
    <Modal
      open={open}
      onClose={onClose}
      title={t('settings.removeProviderTitle', { name })}
      description={t('settings.removeProviderBody')}
    >
      <ModalBody>
        <FormError error={remove.error} />
      </ModalBody>
      <ModalFooter>
        <Button onClick={onClose}>{t('action.cancel')}</Button>
        <Button look="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
          {t('settings.removeProvider', { name })}
        </Button>
      </ModalFooter>
    </Modal>
  )
}
