// Pictures of the main pages against the mock hub, to be looked at. Usage: node tools/shots.mjs BASE_URL OUT_DIR [CHROMIUM]
import { mkdirSync } from 'node:fs'
import { AxeBuilder } from '@axe-core/playwright'
import { chromium } from 'playwright-core'

const [base, out, executablePath = '/usr/bin/chromium'] = process.argv.slice(2)
mkdirSync(out, { recursive: true })

const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 360, height: 740 } },
]
const browser = await chromium.launch({
  executablePath,
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
let problems = 0
for (const { name, ...look } of LOOKS) {
  const context = await browser.newContext(look)
  const page = await context.newPage()
  page.on('console', (message) => message.type() === 'error' && complain(`${name}: ${message.text()}`))
  page.on('pageerror', (error) => complain(`${name}: ${error.message}`))
  const shot = async (what) => {
    await page.waitForTimeout(400)
    await page.screenshot({ path: `${out}/${what}-${name}.png` })
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)
    if (overflow) complain(`${name}: ${what} is wider than the window`)
    const { violations } = await new AxeBuilder({ page }).analyze()
    for (const found of violations) {
      complain(
        `${name}: ${what}: ${found.id}: ${found.nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`,
      )
    }
  }
  await page.goto(base)
  await page.getByRole('link', { name: 'scout', exact: true }).first().waitFor()
  await shot('instances')
  await page.getByRole('button', { name: 'New instance' }).click()
  await page.getByLabel('Name', { exact: true }).fill('Bad name')
  await page.getByRole('button', { name: 'Create' }).click()
  await shot('create')
  await page.getByLabel('Name', { exact: true }).fill(`made-${name}`)
  await page.getByRole('button', { name: 'Create' }).click()
  await page.getByRole('progressbar').first().waitFor()
  await page.waitForTimeout(900)
  await shot('progress')
  await page.getByRole('button', { name: 'Close' }).first().click()
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').fill('s')
  await shot('palette')
  await page.keyboard.press('Enter')
  await page.goto(`${base}/i/archivist`)
  await shot('chat-empty')
  await page.getByRole('textbox', { name: 'Message' }).fill('What changed since yesterday?')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Stop answering' }).waitFor()
  await page.waitForTimeout(2600)
  await shot('chat-streaming')
  await page.getByRole('button', { name: 'Send' }).waitFor()
  await page.getByRole('textbox', { name: 'Message' }).fill('refuse this one')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Try again' }).waitFor()
  await shot('chat-failed')
  await page.getByRole('link', { name: 'Logs' }).click()
  await shot('logs')
  await page.getByRole('link', { name: 'Details' }).click()
  await shot('details')
  await page.getByRole('button', { name: 'Remove' }).first().click()
  await shot('remove')
  await page.goto(`${base}/i/night-shift`)
  await shot('failed')
  await page.goto(`${base}/settings`)
  await page.getByRole('heading', { name: 'This machine' }).waitFor()
  await shot('settings')
  await context.close()
}
await browser.close()
process.exit(problems ? 1 : 0)

function complain(text) {
  problems += 1
  process.stdout.write(`${text}\n`)
}
