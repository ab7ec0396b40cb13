// The hub dies while an answer is written: the page says so, finds it again, and the answer is whole.
import assert from 'node:assert/strict'
import { answers, begin, complete, questions } from './chat.mjs'

export async function restart({ hub, page }) {
  await page.goto(`${hub.url}/i/scout?session=restart`)
  await begin(page, 250)
  await hub.kill()
  await complete(page, 250)
  assert.deepEqual([await questions(page).count(), await answers(page).count()], [1, 1])
  await page.reload()
  await complete(page, 250)
}
