import { screen, waitFor, within } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import { SENTINELS } from '../mock/hub.ts'
import { FakeEventSource } from './test/fakeEventSource'
import { renderApp } from './test/renderApp'

const writes = (sent: { method: string; path: string }[]) =>
  sent.filter((one) => one.method !== 'GET').map((one) => `${one.method} ${one.path}`)

describe('signing in', () => {
  it('leads to the login page and back to where one wanted to go', async () => {
    const { user, router, hub } = await renderApp('/i/scout/logs?x=1', 'signed-out')
    await user.type(await screen.findByLabelText('Name'), 'ada')
    await user.type(screen.getByLabelText('Password'), 'wrong-password')
    await user.click(screen.getByRole('button', { name: 'Sign in' }))
    expect(await screen.findByText('Name or password is wrong.')).toBeVisible()
    expect(screen.getByLabelText('Password')).toHaveValue('')

    await user.type(screen.getByLabelText('Password'), 'right password')
    await user.click(screen.getByRole('button', { name: 'Sign in' }))
    await screen.findByRole('heading', { name: 'Scout' })
    expect(router.state.location.pathname).toBe('/i/scout/logs')

    hub.signedIn = false
    await user.click(screen.getByRole('button', { name: 'Stop' }))
    await screen.findByRole('heading', { name: 'Sign in to Reef' })
    expect(router.state.location.search).toEqual({ next: '/i/scout/logs?x=1' })
  })

  it('sets up the first owner', async () => {
    const { user, sent } = await renderApp('/', 'setup')
    await user.type(await screen.findByLabelText('Setup code'), 'once')
    await user.type(screen.getByLabelText('Your name'), 'ada')
    await user.type(screen.getByLabelText('Password'), 'short')
    await user.click(screen.getByRole('button', { name: 'Create owner and sign in' }))
    expect(await screen.findByText('Use at least 10 characters.')).toBeVisible()
    expect(writes(sent)).toEqual([])

    await user.type(screen.getByLabelText('Password'), ' but longer')
    await user.click(screen.getByRole('button', { name: 'Create owner and sign in' }))
    await screen.findByRole('heading', { name: 'Create your first instance' })
    expect(JSON.parse(sent.find((one) => one.method === 'POST')?.body ?? '')).toEqual({
      code: 'once',
      name: 'ada',
      password: 'short but longer',
    })
  })
})

describe('creating', () => {
  it('complains about the name only once it was touched or sent', async () => {
    const { user, sent } = await renderApp('/')
    await user.click(await screen.findByRole('button', { name: 'New instance' }))
    const name = await screen.findByLabelText('Name')
    expect(name).not.toHaveAttribute('aria-invalid')
    await user.click(screen.getByRole('button', { name: 'Create' }))
    expect(name).toHaveAttribute('aria-invalid', 'true')
    expect(name).toHaveFocus()
    expect(writes(sent)).toEqual([])
  })

  it('puts the blame for a taken name on the name', async () => {
    const { user } = await renderApp('/')
    await user.click(await screen.findByRole('button', { name: 'New instance' }))
    await user.type(await screen.findByLabelText('Name'), SENTINELS.inUse)
    await user.click(screen.getByRole('button', { name: 'Create' }))
    expect(await screen.findByText('There is already an instance with this name.')).toBeVisible()
    expect(screen.getByLabelText('Name')).toHaveAttribute('aria-invalid', 'true')
  })

  it('shows the progress until the agent is ready, and leads to the chat', async () => {
    const { user, router } = await renderApp('/')
    await user.click(await screen.findByRole('button', { name: 'New instance' }))
    await user.type(await screen.findByLabelText('Name'), 'fresh')
    await user.click(screen.getByRole('button', { name: 'Create' }))
    await within(await screen.findByRole('dialog', { name: 'Creating fresh' })).findByRole('progressbar')
    await screen.findByRole('dialog', { name: 'fresh is ready' })
    await user.click(screen.getByRole('button', { name: 'Open chat' }))
    await waitFor(() => expect(router.state.location.pathname).toBe('/i/fresh'))
  })

  it('says why a creation failed', async () => {
    const { user } = await renderApp('/')
    await user.click(await screen.findByRole('button', { name: 'New instance' }))
    await user.type(await screen.findByLabelText('Name'), SENTINELS.install)
    await user.click(screen.getByRole('button', { name: 'Create' }))
    const dialog = await screen.findByRole('dialog', { name: /could not be started/ })
    expect(dialog).toHaveTextContent('The package registry did not answer.')
  })

  it('can be cancelled', async () => {
    const { user, sent } = await renderApp('/')
    await user.click(await screen.findByRole('button', { name: 'New instance' }))
    await user.type(await screen.findByLabelText('Name'), SENTINELS.slow)
    await user.click(screen.getByRole('button', { name: 'Create' }))
    await user.click(await screen.findByRole('button', { name: 'Cancel creation' }))
    await screen.findByRole('dialog', { name: /was cancelled/ })
    expect(writes(sent).at(-1)).toMatch(/^POST \/api\/jobs\/job_\w+\/cancel$/)
  })
})

describe('acting', () => {
  it('refuses what cannot be done now, also when it is clicked', async () => {
    const { user, sent } = await renderApp('/i/scout')
    const start = await screen.findByRole('button', { name: 'Start' })
    expect(start).toHaveAccessibleDescription('It is already running.')
    await user.click(start)
    expect(writes(sent)).toEqual([])
  })

  it('removes only after the name was typed', async () => {
    const { user, sent, hub, router } = await renderApp('/i/scout')
    const id = hub.find('scout')?.id
    await user.click(await screen.findByRole('button', { name: 'Remove' }))
    const field = await screen.findByLabelText('Type scout to confirm')
    await user.type(field, 'scou{Enter}')
    expect(writes(sent)).toEqual([])
    await user.click(screen.getByRole('radio', { name: 'Delete them' }))
    await user.type(field, 't')
    await user.click(screen.getByRole('button', { name: 'Remove and delete data' }))
    await waitFor(() => expect(writes(sent)).toEqual([`DELETE /api/instances/${id}?data=delete`]))
    await waitFor(() => expect(router.state.location.pathname).toBe('/'))
  })
})

describe('chatting', () => {
  const say = (id: string, role: string, text: string) => ({ id, role, text, streaming: false })

  it('shows each message once and keeps what could not be sent', async () => {
    const { user, emit, hub, sent } = await renderApp('/i/scout')
    const box = await screen.findByRole('textbox', { name: 'Message' })
    await waitFor(() => expect(FakeEventSource.open('/chat/main/stream')).toHaveLength(1))
    emit('/chat/', 'snapshot', { cursor: 'e-0', items: [], run: null })

    await user.type(box, 'good morning{Enter}')
    expect(await screen.findByText('good morning')).toBeVisible()
    emit('/chat/', 'patch', { cursor: 'e-1', item: say('u1', 'user', 'good morning') })
    emit('/chat/', 'patch', { cursor: 'e-2', item: say('u1', 'user', 'good morning') })
    expect(screen.getAllByText('good morning')).toHaveLength(1)

    await user.type(box, 'refuse this{Enter}')
    expect(await screen.findByText(/Not sent: The agent is restarting/)).toBeVisible()
    await user.click(screen.getByRole('button', { name: 'Edit again' }))
    expect(box).toHaveValue('refuse this')
    expect(writes(sent)[0]).toBe(`POST /api/instances/${hub.find('scout')?.id}/chat/main/messages`)
  })

  it('never shows or asks anything of the instance that was open before', async () => {
    const { user, emit, hub, sent, router } = await renderApp('/i/scout')
    const archivist = hub.find('archivist')?.id
    await screen.findByRole('textbox', { name: 'Message' })
    emit('/chat/', 'snapshot', { cursor: 'e-0', items: [say('u1', 'user', 'secret of scout')], run: null })
    expect(screen.getByText('secret of scout')).toBeVisible()

    await user.keyboard('{Control>}k{/Control}')
    await user.type(
      await screen.findByRole('combobox', { name: 'Find an instance or a page' }),
      'archi{Enter}',
    )
    await screen.findByRole('heading', { name: 'archivist' })
    expect(router.state.location.pathname).toBe('/i/archivist')
    expect(screen.queryByText('secret of scout')).toBeNull()
    const streams = FakeEventSource.open('/api/instances/')
    expect(streams.map((source) => source.url)).toEqual([`/api/instances/${archivist}/chat/main/stream`])

    sent.length = 0
    await user.type(screen.getByRole('textbox', { name: 'Message' }), 'hello{Enter}')
    await waitFor(() => expect(writes(sent)).toEqual([`POST /api/instances/${archivist}/chat/main/messages`]))
  })

  it('says why nothing can be sent to a stopped instance', async () => {
    const { user, sent } = await renderApp('/i/mail-triage')
    await user.type(await screen.findByRole('textbox', { name: 'Message' }), 'hello{Enter}')
    expect(screen.getByRole('textbox', { name: 'Message' })).toHaveAccessibleDescription(/Start the instance/)
    expect(writes(sent)).toEqual([])
  })
})

it('removes an instance from the list when the hub says so', async () => {
  const { emit, hub } = await renderApp('/')
  await screen.findByRole('table', { name: 'All instances' })
  const scout = hub.find('scout')
  emit('/api/events', 'instanceRemoved', { id: scout?.id, name: 'scout' })
  await waitFor(() => expect(within(screen.getByRole('table')).queryByText('scout')).toBeNull())
})
