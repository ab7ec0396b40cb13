// Two instances side by side: drafts, conversations and answers stay where they belong.
import assert from 'node:assert/strict'
import { look } from '../browser.mjs'
import { answers, begin, complete, questions } from './chat.mjs'

export async function switching({ hub, page }) {
  const open = async (name) => {
    await page.getByRole('navigation', { name: 'Reef' }).getByRole('link', { name }).click()
    await page.waitForURL(`${hub.url}/i/${name === 'keys' ? 'keys' : 'scout'}`)
    await answers(page).first().waitFor()
  }
  const message = page.getByRole('textbox', { name: 'Message' })
  await page.goto(`${hub.url}/i/scout`)
  await answers(page).first().waitFor()
  await begin(page, 200)
  await message.fill('a draft for scout')

  // In the middle of the answer of the one, the other knows nothing of it.
  await open('keys')
  const said = await page.getByRole('log', { name: 'Conversation' }).innerText()
  for (const foreign of ['word', 'hello from the browser', 'draft']) {
    assert.ok(!said.includes(foreign), `${foreign} is shown in the other conversation`)
  }
  assert.equal(await message.inputValue(), '')
  assert.equal(await questions(page).count(), 1)
  await page.getByRole('button', { name: 'Send' }).waitFor()

  await open('Scout of the reef')
  assert.equal(await message.inputValue(), 'a draft for scout')
  await message.fill('')
  await complete(page, 200)
  assert.ok(!(await page.getByRole('log', { name: 'Conversation' }).innerText()).includes('pointer'))
  await page.goto(hub.url)
  await page.getByRole('table', { name: 'All instances' }).waitFor()
  await look(page, 'instances')
}
