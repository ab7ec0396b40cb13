// What several chapters do with a conversation.
import assert from 'node:assert/strict'

/** What the built-in model puts before what a person said. */
export const ECHO = 'I am the built-in echo model and can only repeat: '

export const answers = (page) =>
  page.getByRole('log', { name: 'Conversation' }).getByRole('article', { name: 'Agent' })
export const questions = (page) =>
  page.getByRole('log', { name: 'Conversation' }).getByRole('article', { name: 'You' })

/** Sends a message and waits for the whole answer. */
export async function say(page, text) {
  const before = await answers(page).count()
  await page.getByRole('textbox', { name: 'Message' }).fill(text)
  await page.keyboard.press('Enter')
  await answers(page).nth(before).getByText(`${ECHO}${text}`).waitFor()
  await rested(page)
  assert.equal(await answers(page).count(), before + 1)
}

/** Asks for so many words and waits for the first of them. */
export async function begin(page, count) {
  const before = await answers(page).count()
  await page.getByRole('textbox', { name: 'Message' }).fill(`long:${count}`)
  await page.getByRole('button', { name: 'Send' }).click()
  await page.getByRole('button', { name: 'Stop answering' }).waitFor()
  await answers(page).nth(before).getByText('word9 ').waitFor()
}

/** Waits for the end of an answer, which must hold each word once. */
export async function complete(page, count) {
  await answers(page).last().getByText(`word${count}`).waitFor()
  await rested(page)
  assert.deepEqual(await words(page), counted(count))
}

/** Waits until nobody answers any more. */
export async function rested(page) {
  await page.getByRole('button', { name: 'Send' }).waitFor()
}

/** The words of the last answer. */
export async function words(page) {
  return (await answers(page).last().innerText()).split(/\s+/).filter(Boolean)
}

export const counted = (count) => Array.from({ length: count }, (_, index) => `word${index + 1}`)
