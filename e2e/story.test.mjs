// What a person does in the page, from the first start to the removal of everything.
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { launch, person } from './browser.mjs'
import { firstDay } from './chapters/first-day.mjs'
import { agentPages } from './chapters/agent-pages.mjs'
import { keyboard } from './chapters/keyboard.mjs'
import { lifecycle } from './chapters/lifecycle.mjs'
import { restart } from './chapters/restart.mjs'
import { session } from './chapters/session.mjs'
import { switching } from './chapters/switching.mjs'
import { Hub } from './hub.mjs'

const CHAPTERS = [
  ['setup, create, chat', firstDay],
  ['create and chat by the keyboard alone', keyboard],
  ['two instances show nothing of each other', switching],
  ['pages of an agent cannot act for the person', agentPages],
  ['the hub is killed in mid-answer', restart],
  ['signing out and in', session],
  ['stop, start, remove', lifecycle],
]

const hub = new Hub()
let browser

before(async () => {
  await hub.start()
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await hub.stop()
})

test('the story', async (t) => {
  const { page, context, problems } = await person(browser)
  for (const [title, chapter] of CHAPTERS) {
    let passed = false
    await t.test(title, async () => {
      await chapter({ hub, browser, context, page })
      assert.deepEqual(problems, [])
      passed = true
    })
    if (!passed) return
  }
})
