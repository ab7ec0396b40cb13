import { useMutation, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, useRouter } from '@tanstack/react-router'
import { useState } from 'react'
import { toFailure } from '../api/errors'
import { hubKeys, logIn, sessionQuery } from '../api/hub'
import { t } from '../i18n/t'
import { safeReturnPath } from '../lib/returnPath'
import { Button } from '../ui/Button'
import { FormError } from '../ui/blocks'
import { TextField } from '../ui/Field'
import { EntryFrame } from './EntryFrame'

const route = getRouteApi('/login')

export function LoginPage() {
  const { next } = route.useSearch()
  const router = useRouter()
  const client = useQueryClient()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [missing, setMissing] = useState(false)
  const login = useMutation({
    mutationFn: () => logIn({ name: name.trim(), password }),
    onSuccess: async () => {
      client.removeQueries({ queryKey: hubKeys.session })
      await client.fetchQuery(sessionQuery)
      router.history.push(safeReturnPath(next))
    },
    onError: () => setPassword(''),
  })
  return (
    <EntryFrame title={t('login.title')} lead={t('app.tagline')}>
      <form
        noValidate
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          const incomplete = !name.trim() || !password
          setMissing(incomplete)
          if (!incomplete && !login.isPending) login.mutate()
        }}
      >
        {missing ? (
          <p role="alert" className="text-bad">
            {t('login.required')}
          </p>
        ) : (
          <FormError error={login.error && toFailure(login.error)} />
        )}
        <TextField
          label={t('login.name')}
          value={name}
          onChange={(event) => setName(event.target.value)}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          autoFocus
        />
        <TextField
          label={t('login.password')}
          type="password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="current-password"
        />
        <Button type="submit" look="primary" className="h-9 w-full" busy={login.isPending}>
          {t('login.submit')}
        </Button>
      </form>
    </EntryFrame>
  )
}
