// How fast the map is with many points, in software rendering: node e2e/bench/points.mjs [points]
// Prints from the reload to the first whole picture, from a step of zoom or a move to a whole
// picture again, and the tiles that the gateway made for it.
import { openBrowser, openDesk, registry, sitDown, World } from '../console-harness.mjs'
import { busy, Judge, machine, middle, part, spent } from './load.mjs'

const wanted = Number(process.argv[2] ?? 200_000)
const chunk = 10_000
const gpu = /--type=gpu-process/ // where software draws what a graphics card would
const kinds = ['smoke', 'manhole', 'door', 'parking']
const point = (i) => ({
  id: `m-${i}`, name: `点位 ${i}`, kind: kinds[i % 4], district: '310105', mode: 'live', crs: 'WGS84',
  lon: 121.335 + ((i * 7919) % 9973) / 9973 * 0.095, lat: 31.185 + ((i * 104_729) % 99_991) / 99_991 * 0.055,
})

const world = await World.open({ seed: { ...registry, points: registry.points.map(({ cell: _, ...p }) => p) } })
const browser = await openBrowser()
const judge = new Judge()
try {
  const headers = { Authorization: 'Bearer ' + world.admin, 'Content-Type': 'application/yaml' }
  for (let at = 0; at < wanted; at += chunk) {
    const body = JSON.stringify({ points: Array.from({ length: Math.min(chunk, wanted - at) }, (_, i) => point(at + i)) })
    const res = await fetch(world.url + '/api/v1/registry', { method: 'PUT', headers, body })
    if (!res.ok) throw new Error(`import: ${res.status} ${await res.text()}`)
  }
  await tiles()
  const desk = await openDesk(browser, { url: world.url, width: 1920, height: 1080, search: '#/situation' })
  await sitDown(desk, { token: world.admin })
  const { page } = desk
  const map = page.getByTestId('map')
  const whole = () => page.locator('[data-testid=map][data-idle]:not([data-idle="0"])').waitFor({ timeout: 120_000 })
  await whole()
  const used = busy()
  const first = await timed(5, async () => {
    await page.reload()
    await whole()
  })
  const shown = Number(await map.getAttribute('data-shown'))
  const all = (await world.api('/map')).points
  console.log(`${all} points at #/situation, 1920x1080, ${machine()}, ${used()} % of it used`)
  judge.say('points that the first picture does not count', all - shown, 1, '')
  judge.tell('first picture', first, 6000)

  const again = async (deed) => {
    const before = await map.getAttribute('data-idle')
    await deed()
    await page.waitForFunction((n) => document.querySelector('[data-testid=map]').dataset.idle !== n, before, { timeout: 60_000, polling: 'raf' })
  }
  const steps = ['放大', '放大', '放大', '放大', '缩小', '缩小', '缩小', '放大', '缩小']
  judge.tell('zoom, until the picture is whole again', await timed(steps.length, (i) => again(() => page.getByRole('button', { name: steps[i] }).click())), 1000)
  const box = await map.boundingBox()
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
  // Ten pictures, one for each movement of the mouse: a figure, and no wish, since software draws them all.
  judge.tell('pan by 300 px, until the picture is whole again', await timed(8, (i) => again(async () => {
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x + (i % 2 ? 150 : -150), y, { steps: 4 })
    await page.mouse.move(x + (i % 2 ? 300 : -300), y, { steps: 4 })
    await page.mouse.up()
  })))
  judge.end()
} finally {
  await browser.close()
  await world.close()
}

/** timed does a thing n times: how long each took, and how much processor time of browser and gateway it took. */
async function timed(n, deed) {
  const out = []
  for (let i = 0; i < n; i++) {
    const [begun, before, drawn] = [performance.now(), spent(), spent(gpu)]
    await deed(i)
    out.push({ wall: performance.now() - begun, cpu: spent() - before, gpu: spent(gpu) - drawn })
  }
  return out
}

/** tiles asks for those that lie over the middle of the points, of each zoom, one after the other and each for the first time. */
async function tiles() {
  const times = []
  const sizes = []
  for (let z = 10; z <= 18; z++) {
    const n = 2 ** z
    const x = Math.floor(((121.38 + 180) / 360) * n)
    const rad = (31.21 * Math.PI) / 180
    const y = Math.floor(((1 - Math.asinh(Math.tan(rad)) / Math.PI) / 2) * n)
    for (const [dx, dy] of [[0, 0], [1, 0], [0, 1], [1, 1]]) {
      const begun = performance.now()
      const res = await fetch(`${world.url}/api/v1/tiles/${z}/${x + dx}/${y + dy}`, { headers: { Authorization: 'Bearer ' + world.admin, 'Accept-Encoding': 'gzip' } })
      const bytes = (await res.arrayBuffer()).byteLength
      times.push(performance.now() - begun)
      sizes.push(Number(res.headers.get('content-length') ?? bytes))
    }
  }
  console.log(`tiles of zoom 10 to 18, ${times.length} of them: ${middle(times).toFixed(1)} ms in the middle, ${part(times, 0.95).toFixed(1)} ms at the slowest twentieth; the largest ${(Math.max(...sizes) / 1024).toFixed(1)} KiB unpacked`)
}
