// Everything that matters, without a pointer.
import { tabTo } from '../browser.mjs'
import { ECHO, answers, rested } from './chat.mjs'

export async function keyboard({ hub, page }) {
  await page.goto(hub.url)
  await page.getByRole('table', { name: 'All instances' }).waitFor()
  await tabTo(page, 'button', 'New instance')
  await page.keyboard.press('Enter')
  // The dialog opens with the focus in its first field, keeps it, and gives it back.
  await page.getByRole('dialog', { name: 'New instance' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await tabTo(page, 'button', 'New instance')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog', { name: 'New instance' }).waitFor()
  await tabTo(page, 'textbox', 'Name')
  await page.keyboard.type('keys')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog', { name: 'keys is ready' }).waitFor()
  await tabTo(page, 'button', 'Open chat')
  await page.keyboard.press('Enter')
  await page.getByText('Say something to keys').waitFor()
  await tabTo(page, 'textbox', 'Message')
  await page.keyboard.type('typed without a pointer')
  await page.keyboard.press('Enter')
  await answers(page).last().getByText(`${ECHO}typed without a pointer`).waitFor()
  await rested(page)
}
