import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { Eye, EyeOff } from 'lucide-react'
import { useEffect, useState } from 'react'
import { hubKeys, sessionQuery, setUp, setupQuery } from '../api/hub'
import { t } from '../i18n/t'
import { setupCode, takeSetupCode } from '../lib/setupCode'
import { Button } from '../ui/Button'
import { Failure, FormError, Loading } from '../ui/blocks'
import { TextField } from '../ui/Field'
import { EntryFrame } from './EntryFrame'

/** The shortest password that the hub takes, in characters. */
export const PASSWORD_CHARS_MIN = 10

export function SetupPage() {
  const setup = useQuery(setupQuery)
  if (setup.isPending) return <Loading />
  if (!setup.data) return <Failure error={setup.error} onRetry={() => void setup.refetch()} />
  if (!setup.data.required) {
    return (
      <EntryFrame title={t('setup.doneTitle')} lead={t('setup.doneBody')}>
        <Link to="/login" className="text-accent underline">
          {t('login.submit')}
        </Link>
      </EntryFrame>
    )
  }
  return (
    <EntryFrame title={t('setup.title')} lead={t('setup.lead')}>
      <SetupForm />
    </EntryFrame>
  )
}

function SetupForm() {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [code, setCode] = useState(setupCode)
  const [hadCode, setHadCode] = useState(code !== '')
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [visible, setVisible] = useState(false)
  const [submitted, setSubmitted] = useState(false)

  useEffect(() => {
    // The link may be opened in a tab that already shows this page.
    const onHash = () => {
      takeSetupCode()
      setCode(setupCode())
      setHadCode(setupCode() !== '')
    }
    window.addEventListener('hashchange', onHash)
    return () => window.removeEventListener('hashchange', onHash)
  }, [])

  const create = useMutation({
    mutationFn: () => setUp({ code: code.trim(), name: name.trim(), password }),
    onSuccess: async () => {
      client.removeQueries({ queryKey: hubKeys.session })
      await client.fetchQuery(sessionQuery)
      await navigate({ to: '/', replace: true })
    },
    // A code that was refused must be correctable.
    onError: () => setHadCode(false),
  })
  const errors = {
    code: code.trim() ? null : t('setup.codeMissing'),
    name: name.trim() ? null : t('setup.nameMissing'),
    password:
      [...password].length >= PASSWORD_CHARS_MIN
        ? null
        : t('setup.passwordShort', { count: PASSWORD_CHARS_MIN }),
  }
  return (
    <form
      noValidate
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault()
        setSubmitted(true)
        if (Object.values(errors).every((error) => error === null) && !create.isPending) create.mutate()
      }}
    >
      <FormError error={create.error} />
      {!hadCode && (
        <TextField
          label={t('setup.code')}
          help={t('setup.codeHelp')}
          error={submitted ? errors.code : null}
          value={code}
          onChange={(event) => setCode(event.target.value)}
          autoComplete="off"
          spellCheck={false}
        />
      )}
      <TextField
        label={t('setup.name')}
        error={submitted ? errors.name : null}
        value={name}
        onChange={(event) => setName(event.target.value)}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        autoFocus
      />
      <div className="relative">
        <TextField
          label={t('setup.password')}
          help={t('setup.passwordHelp', { count: PASSWORD_CHARS_MIN })}
          error={submitted ? errors.password : null}
          type={visible ? 'text' : 'password'}
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          autoComplete="new-password"
        />
        <Button
          size="small"
          look="quiet"
          className="absolute top-6 right-1"
          label={visible ? t('setup.hide') : t('setup.show')}
          icon={visible ? <EyeOff size={15} /> : <Eye size={15} />}
          onClick={() => setVisible(!visible)}
        />
      </div>
      <Button type="submit" look="primary" className="h-9 w-full" busy={create.isPending}>
        {t('setup.submit')}
      </Button>
    </form>
  )
}
