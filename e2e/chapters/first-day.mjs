// The setup link, an account, an instance, an answer.
import assert from 'node:assert/strict'
import { look } from '../browser.mjs'
import { begin, complete, counted, questions, say, words } from './chat.mjs'

export const OWNER = { name: 'ada', password: 'correct horse battery' }

export async function firstDay({ hub, page }) {
  await page.goto(hub.setupLink)
  await page.getByRole('heading', { name: 'Welcome to Reef' }).waitFor()
  assert.equal(new URL(page.url()).hash, '', 'the code does not stay in the address')
  await look(page, 'setup')
  await page.getByLabel('Your name').fill(OWNER.name)
  await page.getByLabel('Password', { exact: true }).fill(OWNER.password)
  await page.getByRole('button', { name: 'Create owner and sign in' }).click()
  await page.getByText('Create your first instance').waitFor()
  await look(page, 'empty')

  await page.getByRole('button', { name: 'New instance' }).first().click()
  await page.getByLabel('Name', { exact: true }).fill('scout')
  await page.getByLabel('Display name (optional)').fill('Scout of the reef')
  await look(page, 'create')
  await page.getByRole('button', { name: 'Create', exact: true }).click()
  await page.getByRole('dialog', { name: 'Creating scout' }).getByRole('progressbar').waitFor()
  await look(page, 'creating')
  await page.getByRole('dialog', { name: 'scout is ready' }).waitFor()
  await look(page, 'ready')
  await page.getByRole('button', { name: 'Open chat' }).click()

  await page.getByText('Say something to Scout of the reef').waitFor()
  await look(page, 'chat-empty')
  await say(page, 'hello from the browser')
  await streams(page)
  await look(page, 'chat')
  await page.getByRole('link', { name: 'Logs', exact: true }).click()
  await page.getByText(/^[1-9][\d,.]* lines$/).waitFor()
  await look(page, 'logs')
  await page.getByRole('link', { name: 'Details', exact: true }).click()
  await page.getByRole('heading', { name: 'Conditions' }).waitFor()
  await look(page, 'details')
  await page.goto(`${hub.url}/settings`)
  await page.getByRole('heading', { name: 'This machine' }).waitFor()
  await look(page, 'settings')
}

/** Words come one after the other, and each once. */
async function streams(page) {
  const asked = await questions(page).count()
  await begin(page, 120)
  const some = await words(page)
  assert.ok(some.length < 120, 'the answer is shown while it is written')
  assert.deepEqual(some, counted(some.length))
  await look(page, 'chat-streaming')
  await complete(page, 120)
  assert.equal(await questions(page).count(), asked + 1)
}
