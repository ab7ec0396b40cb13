// The browser, and what is looked at on every page.
import { mkdirSync } from 'node:fs'
import { AxeBuilder } from '@axe-core/playwright'
import assert from 'node:assert/strict'
import { chromium } from 'playwright-core'
import { PATIENCE_MS, setting } from './hub.mjs'

const RESULTS = new URL('results/', import.meta.url).pathname

/** How a view is looked at: each needs its own colours, and the narrow one its own layout. */
const LOOKS = [
  { name: 'light', colorScheme: 'light', width: 1280, height: 800 },
  { name: 'dark', colorScheme: 'dark', width: 1280, height: 800 },
  { name: 'narrow', colorScheme: 'light', width: 360, height: 740 },
]

export async function launch() {
  mkdirSync(RESULTS, { recursive: true })
  return chromium.launch({
    executablePath: setting('REEF_BROWSER'),
    // Without a sandbox of its own, because tests run as root; the rest keeps it from calling home.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** A person with a browser of their own. */
export async function person(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const problems = []
  // A hub that was killed or a refusal that is shown are no mistakes of the page.
  const expected = /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|status of 4\d\d|status of 503/
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' && !expected.test(message.text())) problems.push(message.text())
  })
  return { context, page, problems }
}

/** Takes pictures of a view in all looks, checks its accessibility and that nothing is cut off at the side. */
export async function look(page, view) {
  const before = page.viewportSize()
  const found = []
  for (const { name, colorScheme, width, height } of LOOKS) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await page.setViewportSize({ width, height })
    await settled(page)
    await page.screenshot({ path: `${RESULTS}${view}-${name}.png` })
    if (await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)) {
      found.push(`${name}: wider than the window`)
    }
    const { violations } = await new AxeBuilder({ page }).analyze()
    for (const { id, nodes } of violations) {
      found.push(`${name}: ${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`)
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
  await page.setViewportSize(before)
  assert.deepEqual(found, [], view)
}

/** Waits for what moves to come to rest: colours in the middle of a change are nobody's. */
async function settled(page) {
  await page.evaluate(async () => {
    await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))
    const moving = document
      .getAnimations()
      .filter((one) => one.effect?.getComputedTiming().endTime !== Infinity)
    await Promise.allSettled(moving.map((one) => one.finished))
  })
}

/** Presses Tab until something with this role and name has the focus. */
export async function tabTo(page, role, name) {
  const wanted = page.getByRole(role, { name, exact: true })
  for (let presses = 0; presses < 60; presses += 1) {
    if (await wanted.evaluateAll((found) => found.includes(document.activeElement))) return
    await page.keyboard.press('Tab')
  }
  assert.fail(`the keyboard does not reach ${role} “${name}”`)
}
