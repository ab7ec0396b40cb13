// What an agent serves is a stranger's page: opened with the owner's session, it can neither read nor call the hub.
import assert from 'node:assert/strict'

export async function agentPages({ hub, context }) {
  const page = await context.newPage()
  const response = await page.goto(`${hub.url}/api/instances/scout/proxy/`)
  assert.equal(response.status(), 200)
  assert.match(await page.title(), /\S/, 'the agent serves a page of its own')
  assert.equal(response.headers()['set-cookie'], undefined)

  // Its scripts do not run: nothing that they would have drawn is there.
  assert.ok(await page.locator('script').count(), 'the page has scripts')
  const defined = () =>
    [...document.querySelectorAll('*')].filter((one) => customElements.get(one.localName)).length
  assert.deepEqual(await page.evaluate(defined), 0)

  // And if they did: they would be nobody. Not the hub's origin, without its cookie, without its answers.
  const caught = await page.evaluate(async () => {
    const attempt = async (work) => {
      try {
        return String(await work())
      } catch (error) {
        return error.name
      }
    }
    return {
      origin: self.origin,
      cookie: await attempt(() => document.cookie),
      storage: await attempt(() => localStorage.length),
      read: await attempt(async () => (await fetch('/api/instances', { credentials: 'include' })).text()),
      write: await attempt(async () => (await fetch('/api/instances/scout/stop', { method: 'POST' })).status),
    }
  })
  assert.deepEqual(caught, {
    origin: 'null',
    cookie: 'SecurityError',
    storage: 'SecurityError',
    read: 'TypeError',
    write: 'TypeError',
  })
  await page.close()

  // Nor can it be shown inside a page of the hub.
  assert.equal(response.headers()['x-frame-options'], 'DENY')
  assert.equal(JSON.parse(hub.run('show', 'scout', '-o', 'json')).desired, 'running')
}
