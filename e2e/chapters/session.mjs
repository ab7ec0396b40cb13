// Signing out ends what was open; signing in leads back to it.
import assert from 'node:assert/strict'
import { look } from '../browser.mjs'
import { answers } from './chat.mjs'
import { OWNER } from './first-day.mjs'

export async function session({ hub, page, context }) {
  await page.goto(`${hub.url}/i/scout`)
  await answers(page).first().waitFor()
  await page.getByRole('button', { name: 'Account' }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in to Reef' }).waitFor()
  await look(page, 'login')
  assert.equal((await context.request.get(`${hub.url}/api/instances`)).status(), 401)
  await page.goBack()
  await page.goto(`${hub.url}/i/scout`)
  await page.getByRole('heading', { name: 'Sign in to Reef' }).waitFor()
  assert.equal(await page.getByText('hello from the browser').count(), 0)

  await page.getByLabel('Name').fill(OWNER.name)
  await page.getByLabel('Password').fill('not the password')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').first().waitFor()
  await page.getByLabel('Password').fill(OWNER.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await answers(page).first().waitFor()
  assert.equal(new URL(page.url()).pathname, '/i/scout')
}
