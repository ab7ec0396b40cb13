// Stop, start, remove.
import assert from 'node:assert/strict'
import { look } from '../browser.mjs'
import { ECHO, answers } from './chat.mjs'

export async function lifecycle({ hub, page }) {
  await page.goto(`${hub.url}/i/keys`)
  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  await page.getByText('Start the instance to talk to its agent.').first().waitFor()
  await page.getByText('Stopped', { exact: true }).first().waitFor()
  assert.equal(await page.getByText('cannot be reached').count(), 0, 'what was so while it stopped is over')
  await look(page, 'stopped')
  await page.getByRole('button', { name: 'Start', exact: true }).click()
  await answers(page).first().getByText(`${ECHO}typed without a pointer`).waitFor()
  await page.getByText('Running', { exact: true }).first().waitFor()

  await page.getByRole('button', { name: 'Remove' }).click()
  const dialog = page.getByRole('dialog', { name: 'Remove keys?' })
  await dialog.getByRole('radio', { name: 'Delete them' }).check()
  const submit = dialog.getByRole('button', { name: 'Remove and delete data' })
  assert.equal(await submit.getAttribute('aria-disabled'), 'true', 'the name must be typed first')
  await look(page, 'remove')
  await dialog.getByLabel('Type keys to confirm').fill('keys')
  await submit.click()
  await page.waitForURL(`${hub.url}/`)
  const table = page.getByRole('table', { name: 'All instances' })
  await table.getByRole('link', { name: 'keys', exact: true }).waitFor({ state: 'detached' })
  await table.getByRole('link', { name: 'scout', exact: true }).waitFor()
  assert.deepEqual(
    JSON.parse(hub.run('ls', '-o', 'json')).instances.map((instance) => instance.name),
    ['scout'],
  )
}
