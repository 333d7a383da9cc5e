// What the browser tests of the operations console add to the harness: a desk, its look, and
// the screenshots of all pages.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, openBrowser, registry, shots, until, World } from './harness.mjs'

export { freePort, openBrowser, registry, until, World }

const axeSource = readFileSync(join(import.meta.dirname, '../node_modules/axe-core/axe.min.js'), 'utf8')
const patience = Number(process.env.PATIENCE ?? 30_000)

/** The sizes of screens that are looked at: a laptop, a desk, a wall, a telephone. */
export const sizes = [[1366, 768], [1920, 1080], [3840, 2160], [390, 844]]

/** openDesk is a browser window of its own at the console's sign-on. What its page throws, or asks of another origin, stands in desk.errors. */
export async function openDesk(browser, { url, width = 1366, height = 768, lang = 'zh', theme = 'dark', search = '' }) {
  const context = await browser.newContext({ viewport: { width, height }, baseURL: url, locale: lang === 'zh' ? 'zh-CN' : 'en-GB', timezoneId: 'Asia/Shanghai', reducedMotion: 'reduce' })
  context.setDefaultTimeout(patience)
  await context.addInitScript(([l, t]) => {
    localStorage['gridgate.lang'] ??= l
    localStorage['gridgate.theme'] ??= t
  }, [lang, theme])
  const page = await context.newPage()
  const errors = []
  page.on('pageerror', (err) => errors.push(String(err)))
  page.on('request', (r) => { if (!r.url().startsWith(url) && !/^(data|blob):/.test(r.url())) errors.push('asks of elsewhere: ' + r.url()) })
  page.on('console', (m) => { if (m.type() === 'error' && /Content Security Policy/.test(m.text())) errors.push(m.text()) })
  await page.goto('/' + search)
  return { context, page, errors, lang, theme, width, height }
}

/** sitDown signs on as a person does, and waits until the desk is live. */
export async function sitDown(desk, { token, name = '林', role = 'operator' }) {
  const { page } = desk
  await page.locator('form').first().waitFor()
  if (!(await page.locator('#token').count())) await page.locator('[data-do=way]').click()
  await page.locator('#token').fill(token)
  if (await page.locator('#name').count()) {
    await page.locator('#name').fill(name)
    await page.locator('#role').selectOption(role)
  }
  await page.locator('form button.primary').click()
  await isLive(desk)
}

/** isLive waits until the desk says that what it shows is so. */
export const isLive = (desk) => desk.page.locator('[data-testid=line][data-link=live]').waitFor()

/** openPlace goes to a place of the console and waits for its heading. */
export async function openPlace(desk, hash) {
  await desk.page.evaluate((h) => (location.hash = h), hash)
  await desk.page.locator('#main h1').first().waitFor({ state: 'attached' })
}

/** accessible fails on any violation that axe finds on the screen as it is, and on a page wider than its window. */
export async function accessible(desk, what) {
  await desk.page.locator('h1').first().waitFor({ state: 'attached' }) // a page that is not drawn yet is not judged
  await desk.page.evaluate(axeSource)
  const found = await desk.page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }))
  const said = found.violations.map((v) => `${v.id}: ${v.help}\n    ${v.nodes.slice(0, 6).map((n) => n.target.join(' ') + ' ' + (n.failureSummary ?? '').replace(/\s+/g, ' ')).join('\n    ')}`)
  assert.deepEqual(said, [], `${what} (${desk.lang}, ${desk.theme})`)
  const wide = await desk.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(wide <= 0, `${what} (${desk.lang}, ${desk.width}): ${wide} px wider than the window`)
}

/** shoot keeps a picture for a person to look at, where SHOTS=1 asks for them (make web-shots). */
export async function shoot(desk, name) {
  if (!process.env.SHOTS) return
  mkdirSync(shots, { recursive: true })
  await desk.page.screenshot({ path: join(shots, `console-${name}-${desk.lang}-${desk.theme}-${desk.width}.png`) })
}

/** The looks that are judged: each language and each theme once, or, with ALL_LOOKS=1, each with each. */
export const looks = process.env.ALL_LOOKS ? [['zh', 'dark'], ['zh', 'light'], ['en', 'light'], ['en', 'dark']] : [['zh', 'dark'], ['en', 'light']]

/** inAllLooks runs fn in each look, with the desk live; the look that the desk has comes first and costs no reload. */
export async function inAllLooks(desk, fn) {
  const has = ([lang, theme]) => lang === desk.lang && theme === desk.theme
  for (const look of [...looks.filter(has), ...looks.filter((l) => !has(l))]) {
    if (!has(look)) {
      const [lang, theme] = look
      await desk.page.evaluate(([l, t]) => { localStorage['gridgate.lang'] = l; localStorage['gridgate.theme'] = t }, look)
      await desk.page.reload()
      Object.assign(desk, { lang, theme })
    }
    await isLive(desk)
    await fn(desk)
  }
}

/**
 * pictures keeps each place ({name: address}) in each look and size. ready(desk, name) waits for
 * more than that the page draws no more.
 */
export async function pictures(desk, places, ready = async () => {}) {
  await inAllLooks(desk, async () => {
    for (const [width, height] of sizes) {
      await desk.page.setViewportSize({ width, height })
      Object.assign(desk, { width, height })
      for (const [name, hash] of Object.entries(places)) {
        await openPlace(desk, hash)
        await ready(desk, name)
        await settled(desk)
        await shoot(desk, name)
      }
    }
  })
}

/** settled waits until the page has drawn the same for ten pictures in a row, or for two seconds: maps and charts draw late. */
export async function settled(desk) {
  await desk.page.evaluate(async () => {
    const end = performance.now() + 2_000
    let same = 0
    let before = -1
    while (same < 10 && performance.now() < end) {
      await new Promise((go) => requestAnimationFrame(go))
      const now = document.querySelectorAll('#main *').length
      same = now === before ? same + 1 : 0
      before = now
    }
  })
}
