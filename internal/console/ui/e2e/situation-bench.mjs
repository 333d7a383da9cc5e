// How fast the map is with many points, in software rendering: node e2e/situation-bench.mjs [points]
// Prints from the address typed to the first whole picture, and from a wheel to a whole picture again.
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { cpus, tmpdir, loadavg } from 'node:os'
import { join } from 'node:path'
import { openBrowser, openDesk, registry, sitDown, World } from './console-harness.mjs'
import { root } from './harness.mjs'

const wanted = Number(process.argv[2] ?? 200_000)
const chunk = 10_000
if (!process.env.GRIDGATE_BIN) {
  process.env.GRIDGATE_BIN = join(mkdtempSync(join(tmpdir(), 'gridgate-bench-')), 'gridgate')
  execFileSync('go', ['build', '-o', process.env.GRIDGATE_BIN, './cmd/gridgate'], { cwd: root, stdio: 'inherit' })
}

const kinds = ['smoke', 'manhole', 'door', 'parking']
const point = (i) => ({
  id: `m-${i}`, name: `点位 ${i}`, kind: kinds[i % 4], district: '310105', mode: 'live', crs: 'WGS84',
  lon: 121.335 + ((i * 7919) % 9973) / 9973 * 0.095, lat: 31.185 + ((i * 104_729) % 99_991) / 99_991 * 0.055,
})

const world = await World.open({ seed: { ...registry, points: registry.points.map(({ cell: _, ...p }) => p) } })
const browser = await openBrowser()
try {
  const headers = { Authorization: 'Bearer ' + world.admin, 'Content-Type': 'application/yaml' }
  for (let at = 0; at < wanted; at += chunk) {
    const body = JSON.stringify({ points: Array.from({ length: Math.min(chunk, wanted - at) }, (_, i) => point(at + i)) })
    const res = await fetch(world.url + '/api/v1/registry', { method: 'PUT', headers, body })
    if (!res.ok) throw new Error(`import: ${res.status} ${await res.text()}`)
  }
  const desk = await openDesk(browser, { url: world.url, width: 1920, height: 1080, search: '#/situation' })
  await sitDown(desk, { token: world.admin })
  const { page } = desk
  const map = page.getByTestId('map')
  const whole = () => page.locator('[data-testid=map][data-idle]:not([data-idle="0"])').waitFor({ timeout: 120_000 })
  await whole()
  const first = []
  for (let i = 0; i < 3; i++) {
    const begin = Date.now()
    await page.reload()
    await whole()
    first.push(Date.now() - begin)
  }
  const zooms = []
  const box = await map.boundingBox()
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
  for (let i = 0; i < 6; i++) {
    const before = await map.getAttribute('data-idle')
    const begin = Date.now()
    await page.getByRole('button', { name: i < 4 ? '放大' : '缩小' }).click()
    await page.waitForFunction((n) => document.querySelector('[data-testid=map]').dataset.idle !== n, before, { timeout: 60_000, polling: 'raf' })
    zooms.push(Date.now() - begin)
  }
  const middle = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
  const shown = (await world.api('/map')).points
  console.log(`${shown} points, 1920x1080, ${cpus().length} cores, load ${loadavg()[0].toFixed(1)}`)
  console.log(`first picture: ${middle(first)} ms (${first.join(', ')}), wanted < 6000`)
  console.log(`zoom, whole picture again: ${middle(zooms)} ms (${zooms.join(', ')}), wanted < 1000`)
  process.exitCode = middle(first) < 6000 && middle(zooms) < 1000 ? 0 : 1
} finally {
  await browser.close()
  await world.close()
}
