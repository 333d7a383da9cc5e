// The past of a point as a person sees it: a real InfluxDB that the gateway runs, a year of a
// device's frames, and what the chart's canvas really shows.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { accessible, freePort, openBrowser, openDesk, openPlace, registry, shoot, sitDown, until, World } from './console-harness.mjs'
import { root } from './harness.mjs'

const influxd = join(root, '.tools/bin/influxd')
const skip = !existsSync(influxd) && 'make influxd builds it'
const day = 86_400_000
const hour = day / 24

/** When the device spoke: each day of the year but sixty in its middle, each six hours of the last week, each five minutes of the last hour. */
const now = Date.now()
const times = [
  ...Array.from({ length: 357 }, (_, i) => now - (364 - i) * day).filter((at) => Math.abs(now - at - 180 * day) > 30 * day),
  ...Array.from({ length: 27 }, (_, i) => now - 7 * day + (i + 1) * 6 * hour).filter((at) => at < now - hour),
  ...Array.from({ length: 11 }, (_, i) => now - (55 - i * 5) * 60_000),
]
const level = (i) => Math.round((1 + Math.sin(i / 9)) * 100) / 100

const seed = {
  ...registry,
  points: [...registry.points, { ...registry.points[2], id: 'p-level', name: '天山路 30 号液位' }],
  devices: [...registry.devices, { identity: 'sn:level-1', profile: 'gridgate/json', mode: 'live' }],
  installations: [...registry.installations, { device: 'sn:level-1', channel: 'main', point: 'p-level', from: new Date(now - 400 * day).toISOString() }],
}

let world, browser
const past = async (from) => (await world.api(`/points/p-level/history?signal=manhole.level&from=${from}&limit=10000`)).samples
before(async () => {
  if (skip) return
  const listen = `127.0.0.1:${await freePort()}`
  world = await World.open({ seed, config: { influx: { managed: true, bin: influxd, listen } } })
  // The last frame goes the whole way. Frames of a year that come at once would not be believed: what the year would have left is written as the gateway writes it.
  await world.say('sn:level-1', { 'manhole.level': 0.5, 'battery.level': 70, seq: 1 })
  await until('the frame is in InfluxDB', async () => (await past('1970-01-01T00:00:00Z')).length === 1)
  const lines = times.map((at, i) => `manhole,cell=310105005001001,point=p-level,street=310105005 level_m=${level(i)} ${at}000000`)
  const wrote = await fetch(`http://${listen}/write?db=gridgate&rp=autogen`, { method: 'POST', body: lines.join('\n') })
  assert.ok(wrote.ok, await wrote.text())
  await until('InfluxDB has the year', async () => (await past(new Date(now - 366 * day).toISOString())).length === times.length + 1)
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

/** drawn tells which tenths of the chart's width have a line, and which are shaded. */
const drawn = (page) =>
  page.locator('.chart canvas').first().evaluate((canvas) => {
    const css = (name) => {
      const probe = document.createElement('canvas').getContext('2d')
      probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name)
      probe.fillRect(0, 0, 1, 1)
      return probe.getImageData(0, 0, 1, 1).data
    }
    const { width, height } = canvas
    const px = canvas.getContext('2d').getImageData(0, 0, width, height).data
    const near = (i, c) => Math.abs(px[i] - c[0]) + Math.abs(px[i + 1] - c[1]) + Math.abs(px[i + 2] - c[2]) < 40 && px[i + 3] > 200
    const [line, shade] = [css('--brand'), css('--warn-soft')]
    const plot = canvas.closest('.uplot').querySelector('.u-over')
    const scale = width / canvas.getBoundingClientRect().width
    const [left, wide] = [parseFloat(plot.style.left) * scale, parseFloat(plot.style.width) * scale]
    return Array.from({ length: 10 }, (_, n) => {
      let [lines, shades] = [0, 0]
      for (let x = Math.ceil(left + (n * wide) / 10 + 2); x < left + ((n + 1) * wide) / 10 - 2; x++)
        for (let y = 0; y < height; y++) {
          if (near((y * width + x) * 4, line)) lines++
          else if (near((y * width + x) * 4, shade)) shades++
        }
      return { lines, shades }
    })
  })

test('The past of a point is drawn from InfluxDB, from an hour to a year, and where nothing was said no line is', { skip }, async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  await openPlace(desk, '#/points/p-level?tab=past&signal=manhole.level&range=1y')
  const sum = page.locator('[data-testid=past-sum]')
  await sum.filter({ hasText: `${times.length + 1} 个值` }).waitFor()
  await sum.filter({ hasText: '1 处缺口' }).waitFor()
  const year = await until('the year is drawn', async () => {
    const d = await drawn(page)
    return d.some((x) => x.lines > 0) && d
  })
  for (const n of [0, 1, 2, 6, 7, 8]) assert.ok(year[n].lines > 0, `tenth ${n} has a line: ${JSON.stringify(year)}`)
  assert.equal(year[4].lines + year[5].lines > 0, true, 'beside the gap there is a line')
  const gap = year.slice(4, 6)
  assert.ok(gap.some((x) => x.shades > 1000), 'the gap is shaded: ' + JSON.stringify(year))
  assert.ok(year.filter((x) => x.shades > 1000).length <= 3, 'and nothing else is: ' + JSON.stringify(year))
  await accessible(desk, 'history')
  await shoot(desk, 'history-year')

  for (const [range, words, least] of [['1 小时', '12 个值', 12], ['1 天', '个值', 12], ['7 天', '个值', 30], ['30 天', '个值', 50], ['90 天', '个值', 100]]) {
    await page.getByRole('button', { name: range, exact: true }).click()
    await sum.filter({ hasText: words }).waitFor()
    await until(`${range} is drawn`, async () => parseInt(await sum.textContent()) >= least && (await drawn(page)).some((x) => x.lines > 0))
  }
  await page.getByRole('button', { name: '1 小时', exact: true }).click()
  assert.match(page.url(), /range=1h/, 'the range stands in the address')
  await page.locator('summary').click()
  assert.equal(await page.locator('details table tbody tr').count(), 12, 'what is drawn stands in a table too')
  await shoot(desk, 'history-hour')
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('While InfluxDB hangs the chart says so, and draws once it answers', { skip }, async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  await openPlace(desk, '#/points/p-level?tab=past&signal=manhole.level&range=1h')
  await page.locator('[data-testid=past-sum]').waitFor()
  const influx = Number(execFileSync('pgrep', ['-P', String(world.child.pid), 'influxd']).toString())
  process.kill(influx, 'SIGSTOP')
  try {
    await page.getByRole('button', { name: '90 天', exact: true }).click()
    await page.getByText('InfluxDB 尚未应答').waitFor()
    await shoot(desk, 'history-hangs')
    await page.getByRole('button', { name: '重试' }).waitFor()
    await accessible(desk, 'a chart without an answer')
    await shoot(desk, 'history-mute')
  } finally {
    process.kill(influx, 'SIGCONT')
  }
  await until('it is drawn', async () => {
    const again = page.getByRole('button', { name: '重试' })
    if (await again.count()) await again.click({ timeout: 1_000 }).catch(() => undefined)
    return (await page.locator('[data-testid=past-sum]').count()) > 0
  })
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('A device says how long its battery lasts and when it was heard', { skip }, async () => {
  const desk = await openDesk(browser, { url: world.url, lang: 'en', theme: 'light' })
  await sitDown(desk, { token: world.admin })
  await openPlace(desk, '#/points/p-level')
  await desk.page.locator('meter').first().waitFor()
  await desk.page.locator('svg[role=img] rect.heard').first().waitFor({ state: 'attached' })
  await accessible(desk, 'battery and heartbeat')
  await shoot(desk, 'point-health')
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})
