// The situation: without geodata, with the schematic district, with imported borders; an alarm
// comes, and what is selected in one place is selected in all.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { accessible, openBrowser, openDesk, openPlace, registry, shoot, sitDown, sizes, until, World } from './console-harness.mjs'
import { root } from './harness.mjs'

let world, browser

/** Points over the whole district, some of each kind. */
function seed() {
  const kinds = ['smoke', 'manhole', 'door', 'parking']
  const { id: _i, name: _n, kind: _k, ...like } = registry.points[2]
  const spread = Array.from({ length: 240 }, (_, i) => ({
    ...like, id: `p-${i}`, name: `天山路 ${i} 号`, kind: kinds[i % 4], cell: undefined, street: undefined, lon: 121.345 + (i % 20) * 0.0043, lat: 31.197 + Math.floor(i / 20) * 0.0022,
  }))
  const place = { 'p-smoke': [121.398, 31.212], 'p-door': [121.403, 31.2135], 'p-cover': [121.42, 31.219] }
  const points = registry.points.map(({ cell: _, street: _s, ...p }) => ({ ...p, lon: place[p.id]?.[0] ?? p.lon, lat: place[p.id]?.[1] ?? p.lat }))
  return { ...registry, points: [...points, ...spread] }
}

async function importAreas(body) {
  const res = await fetch(`${world.url}/api/v1/areas?crs=WGS84`, { method: 'PUT', headers: { Authorization: 'Bearer ' + world.admin, 'Content-Type': 'application/geo+json' }, body })
  assert.ok(res.ok, await res.text())
}

/** drawn waits until the map has nothing more to draw, and says how many colours the middle of it shows. */
async function drawn(desk) {
  await desk.page.locator('[data-testid=map][data-idle]:not([data-idle="0"])').waitFor()
  const box = await desk.page.locator('[data-testid=map] canvas').boundingBox()
  const [width, height] = [Math.min(box.width / 2, 640), Math.min(box.height / 2, 480)]
  const png = await desk.page.screenshot({ clip: { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height } })
  return desk.page.evaluate(async (text) => {
    const picture = await createImageBitmap(new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], { type: 'image/png' }))
    const g = new OffscreenCanvas(picture.width, picture.height).getContext('2d')
    g.drawImage(picture, 0, 0)
    return new Set(new Uint32Array(g.getImageData(0, 0, picture.width, picture.height).data.buffer)).size
  }, png.toString('base64'))
}

before(async () => {
  world = await World.open({ seed: seed() })
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

test('Without geodata the points are on the map, and the page says how to import borders', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/situation' })
  let asked = 0
  desk.page.on('request', (r) => (asked += r.url().endsWith('/map/areas')))
  await sitDown(desk, { token: world.admin })
  await desk.page.getByTestId('noareas').getByText('gridgate grid import').waitFor()
  assert.ok((await drawn(desk)) > 8, 'the map is blank')
  await accessible(desk, 'situation without geodata')
  await shoot(desk, 'situation-nogeo')
  const clock = () => desk.page.locator('header .clock b').textContent()
  const before = asked
  for (let i = 0, was = await clock(); i < 3; i++) was = await until('the clock goes on', async () => ((n) => n !== was && n)(await clock()))
  assert.equal(asked, before, 'borders are read once, not whenever the page is drawn')
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('What the clusters on the map count is every point, far out and near', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/situation' })
  await sitDown(desk, { token: world.admin })
  const all = seed().points.length
  const counted = async () => Number(await desk.page.getByTestId('map').getAttribute('data-shown'))
  await until(`the picture counts ${all} points`, async () => (await counted()) === all)
  await openPlace(desk, '#/situation?at=121.39000,31.21000,9')
  await desk.page.locator('[data-testid=map][data-shown="0"]').waitFor({ state: 'detached' })
  await until('far out it counts them too', async () => (await counted()) === all)
  assert.match(await desk.page.getByTestId('shown').textContent(), new RegExp(String(all)))
  await openPlace(desk, '#/situation?at=121.345,31.197,17.5')
  await until('near, those in sight alone', async () => (await counted()) > 0 && (await counted()) < 20)
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('The schematic district is drawn and says that it is one', async () => {
  await importAreas(readFileSync(join(root, 'configs/district.geojson')))
  const cells = execFileSync(process.env.GRIDGATE_BIN ?? 'gridgate', ['grid', 'demo', '--size', '500'], { cwd: world.dir, maxBuffer: 1 << 26 })
  await importAreas(cells)
  const desk = await openDesk(browser, { url: world.url, search: '#/situation' })
  await sitDown(desk, { token: world.admin })
  await desk.page.getByTestId('schematic').waitFor()
  assert.ok((await drawn(desk)) > 8, 'the map is blank')
  assert.equal(await desk.page.getByTestId('noareas').count(), 0)
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('An alarm comes onto the map by itself; selecting goes both ways and stands in the address', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/situation' })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  await drawn(desk)
  const before = Number(await page.getByTestId('map').getAttribute('data-alarms'))
  await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: 1 })
  const alarm = await until('the alarm is raised', async () => (await world.api('/alarms?type=smoke.alarm')).items[0])
  await page.locator(`[data-testid=queue] button[data-id="${alarm.id}"]`).waitFor()
  await until('it is on the map', async () => Number(await page.getByTestId('map').getAttribute('data-alarms')) > before)
  await page.locator('.situation-pulse').first().waitFor({ state: 'attached' })

  // From the queue to the map, the ticket and the address.
  await page.locator(`[data-testid=queue] button[data-id="${alarm.id}"]`).click()
  await page.getByTestId('card').getByText('3号楼 B1 配电间烟感').waitFor()
  const ticket = await until('its ticket is selected too', async () => page.locator('[data-testid=tickets] button[aria-current=true]').getAttribute('data-id'))
  const hash = await page.evaluate(() => location.hash)
  for (const part of [`alarm=${alarm.id}`, 'point=p-smoke', `ticket=${ticket}`]) assert.ok(hash.includes(part), `${part} in ${hash}`)

  // The same address shows the same to somebody else.
  await page.reload()
  await page.getByTestId('card').getByText('3号楼 B1 配电间烟感').waitFor()
  await page.locator(`[data-testid=queue] button[data-id="${alarm.id}"][aria-current=true]`).waitFor()

  // From the map to the queue: nothing is selected, then the mark in the middle of the map is clicked.
  await page.keyboard.press('Escape')
  await page.getByTestId('card').waitFor({ state: 'detached' })
  await openPlace(desk, '#/situation?at=121.398,31.212,16')
  await until('the map is there', async () => (await page.evaluate(() => location.hash)).includes('at=121.39800'))
  const map = await page.getByTestId('map').boundingBox()
  await until('the mark is hit', async () => {
    await page.mouse.click(map.x + map.width / 2, map.y + map.height / 2)
    return (await page.evaluate(() => location.hash)).includes(`alarm=${alarm.id}`) // before it is drawn there, the click selects the cell
  })
  await page.locator(`[data-testid=queue] button[data-id="${alarm.id}"][aria-current=true]`).waitFor()

  // Its details have live values and links.
  await page.getByTestId('details').click()
  await page.getByTestId('values').getByText('烟雾报警').waitFor()
  await accessible(desk, 'situation with a point open')
  await shoot(desk, 'situation-point')
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('All that the map shows is in lists, by the keyboard alone', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/situation?view=list' })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  await page.getByTestId('lists').getByText('华阳路街道').first().waitFor()
  await accessible(desk, 'situation as lists')
  await shoot(desk, 'situation-list')
  await page.getByTestId('lists').getByRole('tab').first().focus()
  await page.keyboard.press('ArrowRight')
  await page.getByTestId('lists').getByText('3号楼 B1 配电间烟感').waitFor()
  await page.keyboard.press('ArrowRight')
  await page.getByTestId('lists').getByText('天山路 0 号').first().waitFor()
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('Imported borders carry what their licence wants to be shown', async () => {
  const file = JSON.parse(readFileSync(join(root, 'configs/district.geojson'), 'utf8'))
  file.metadata = { crs: 'WGS84', source: 'A public map', licence: 'ODbL 1.0, © its makers' }
  await importAreas(JSON.stringify(file))
  const desk = await openDesk(browser, { url: world.url, search: '#/situation', lang: 'en', theme: 'light' })
  await sitDown(desk, { token: world.admin })
  await desk.page.getByTestId('attribution').getByText('A public map · ODbL 1.0, © its makers').waitFor()
  await desk.context.close()
})

test('The situation is accessible and fits at all sizes, in both languages and themes', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/situation' })
  await sitDown(desk, { token: world.admin })
  for (const [lang, theme] of [['zh', 'dark'], ['en', 'light']]) {
    await desk.page.evaluate(([l, t]) => Object.assign(localStorage, { 'gridgate.lang': l, 'gridgate.theme': t }), [lang, theme])
    for (const [width, height] of sizes) {
      await desk.page.setViewportSize({ width, height })
      await desk.page.evaluate(() => (localStorage.removeItem('gridgate.map'), history.replaceState(null, '', '#/situation')))
      await desk.page.reload()
      Object.assign(desk, { lang, theme, width, height })
      await desk.page.getByTestId('queue').locator('button').first().waitFor()
      assert.ok((await drawn(desk)) > 8, `the map is blank at ${width}`)
      await accessible(desk, 'situation')
      await shoot(desk, 'situation')
    }
  }
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})
