// The page of gridsim serve, with a gateway of its own: a fire by keys alone, what comes of it,
// the broker unplugged and back, axe in both languages and themes, a telephone.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { accessible, looks, openBrowser, openDesk, shoot, sizes } from './console-harness.mjs'
import { root } from './harness.mjs'

let dir, sim, said, browser, desk

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'gridsim-e2e-'))
  const bin = join(dir, 'gridsim')
  execFileSync('go', ['build', '-o', bin, './cmd/gridsim'], { cwd: root, stdio: 'inherit' })
  let gateway = process.env.GRIDGATE_BIN
  if (!gateway) {
    gateway = join(dir, 'gridgate')
    execFileSync('go', ['build', '-o', gateway, './cmd/gridgate'], { cwd: root, stdio: 'inherit' })
  }
  sim = spawn(bin, ['serve', '--json', '--quiet', '--devices', '60', '--speed', '60', '--gridgate', gateway], { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: sim.stdout })) { said = JSON.parse(line); break }
  browser = await openBrowser()
  const { origin, pathname } = new URL(said.page)
  desk = await openDesk(browser, { url: origin, search: pathname.slice(1) })
})

after(async () => {
  await browser?.close()
  if (sim && sim.exitCode === null) {
    const ended = new Promise((say) => sim.once('exit', say))
    sim.kill('SIGINT')
    await ended
  }
  rmSync(dir, { recursive: true, force: true })
})

const logHas = (text) => desk.page.locator('#log li', { hasText: text }).first().waitFor()

test('a fire by keys alone is P1, goes to units, and is over when the page says so', async () => {
  const { page } = desk
  await page.locator('#find').fill('1 号楼烟感 1')
  await page.locator('[data-key="p-sim-demo-1-smoke-1"]').press('Enter')
  await page.locator('[data-act=fire]').press('Enter')
  await page.locator('#alarms button', { hasText: 'P1' }).waitFor()
  await logHas('演示微型消防站：已收到')
  await logHas('接单')
  assert.equal(await page.locator('#card [data-act=fire]').getAttribute('aria-pressed'), 'true')
  await page.locator('[data-act=normal]').press('Enter')
  await logHas('恢复 烟感报警')
  await page.locator('#alarms').waitFor({ state: 'hidden' })
})

test('what is said while the broker is unplugged comes when it is back', async () => {
  const { page } = desk
  await page.locator('#tab-faults').click()
  const line = said.missing?.includes('mosquitto') ? 'net.partition' : 'broker.down'
  await page.locator(`[data-fault="${line}"]`).click()
  await page.locator('.chip.bad', { hasText: '故障中' }).waitFor()
  await page.locator('#tab-points').click()
  await page.locator('#find').fill('2 号楼烟感 1')
  await page.locator('[data-key="p-sim-demo-2-smoke-1"]').click()
  await page.locator('[data-act=cooking]').click()
  await page.locator('[data-n=pending]', { hasText: '1' }).waitFor()
  await page.locator('#tab-faults').click()
  await page.locator(`[data-fault="${line}"]`).click()
  await logHas('报警 P1 烟感报警：2 号楼烟感 1')
  await page.locator('[data-n=pending]', { hasText: /^0$/ }).waitFor()
  await page.locator('#balanced.good').waitFor()
})

test('every tab without violations, in both languages and themes, and on a telephone', async () => {
  const { page } = desk
  for (const [lang, theme] of looks) {
    await page.evaluate(([l, t]) => { localStorage['gridgate.lang'] = l; localStorage['gridgate.theme'] = t }, [lang, theme])
    await page.reload()
    Object.assign(desk, { lang, theme })
    await page.locator('#log li time').first().waitFor()
    for (const tab of ['units', 'faults', 'scenarios', 'points']) {
      await page.locator('#tab-' + tab).click()
      if (tab === 'points') await page.locator('#pane [data-key="p-sim-demo-1-smoke-1"]').click()
      for (const [width, height] of process.env.SHOTS ? sizes : [[1366, 768], [390, 844]]) {
        await page.setViewportSize({ width, height })
        Object.assign(desk, { width, height })
        if (!process.env.SHOTS) await accessible(desk, tab)
        await shoot(desk, 'drive-' + tab)
      }
    }
  }
  assert.deepEqual(desk.errors, [])
})
