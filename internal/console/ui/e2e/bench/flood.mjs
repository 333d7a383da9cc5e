// A flood at the desk: 500 alarms in a minute while somebody works by keys. node e2e/bench/flood.mjs [seconds]
// Prints how long a key waits until it is handled, and until what it did is painted. PROFILE=file keeps a profile.
import { writeFileSync } from 'node:fs'
import { openBrowser, openDesk, openPlace, registry, sitDown, until, World } from '../console-harness.mjs'
import { Sender } from '../sender.mjs'
import { busy, Judge, machine, part } from './load.mjs'

const seconds = Number(process.argv[2] ?? 60)
const many = 500
const doors = Array.from({ length: many }, (_, i) => ({ ...registry.points[1], id: 'f-' + i, name: `${i} 号门`, cell: '31010500500100' + (i % 5), building: 'b-f' + (i % 20) }))
const world = await World.open({
  seed: {
    ...registry, points: [...registry.points, ...doors],
    devices: [...registry.devices, ...doors.map((p) => ({ identity: 'sn:' + p.id, profile: 'gridgate/json', mode: 'live' }))],
    installations: [...registry.installations, ...doors.map((p) => ({ device: 'sn:' + p.id, channel: 'main', point: p.id, from: new Date(Date.now() - 60_000).toISOString() }))],
  },
})
const browser = await openBrowser()
const judge = new Judge()
try {
  for (const [width, height, place] of [[1920, 1080, '#/alarms'], [1920, 1080, '#/situation']]) await flood(width, height, place)
  judge.end()
} finally {
  await browser.close()
  await world.close()
}

async function flood(width, height, place) {
  const desk = await openDesk(browser, { url: world.url, width, height })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  await openPlace(desk, place)
  await page.evaluate(() => {
    globalThis.seen = []
    globalThis.tasks = []
    new PerformanceObserver((l) => globalThis.seen.push(...l.getEntries().filter((e) => e.name === 'keydown').map((e) => [e.processingStart - e.startTime, e.processingEnd - e.processingStart, e.duration]))).observe({ type: 'event', durationThreshold: 16 })
    new PerformanceObserver((l) => globalThis.tasks.push(...l.getEntries().map((e) => e.duration))).observe({ type: 'longtask' })
  })
  const cdp = await desk.context.newCDPSession(page)
  if (process.env.PROFILE) {
    await cdp.send('Profiler.enable')
    await cdp.send('Profiler.setSamplingInterval', { interval: 500 })
    await cdp.send('Profiler.start')
  }
  const used = busy()
  const sender = await Sender.open(world)
  const value = place === '#/alarms'
  const end = Date.now() + seconds * 1000
  let over = false
  let keys = 0
  const typed = (async () => {
    while (!over) {
      await page.keyboard.press(value ? (keys % 3 ? 'j' : 'k') : 'ArrowDown')
      keys++
      await new Promise((go) => setTimeout(go, 100))
    }
  })()
  try {
    for (const [i, p] of doors.entries()) {
      await (await sender.say('sn:' + p.id, value ? { tamper: true, seq: 1 } : { 'door.open': true, tamper: false, seq: 2 })).got
      await new Promise((go) => setTimeout(go, Math.max(0, end - Date.now()) / (many - i)))
    }
    if (value) await until('all are in the queue', async () => (await world.api('/alarms/queue?limit=1')).alarms >= many, 300_000)
  } finally {
    over = true
    await typed
    sender.close()
  }
  if (process.env.PROFILE) writeFileSync(process.env.PROFILE + place.slice(2), JSON.stringify((await cdp.send('Profiler.stop')).profile))
  const { seen, tasks } = await page.evaluate(() => ({ seen: globalThis.seen, tasks: globalThis.tasks }))
  console.log(`${many} ${value ? 'alarms' : 'changes'} in ${seconds} s at ${place}, ${width}x${height}, ${machine()}, ${used()} % of it used`)
  console.log(`    ${keys} keys, ${seen.length} of them took 16 ms or more until painted; ${tasks.length} tasks of 50 ms or more, the longest ${Math.round(Math.max(0, ...tasks))} ms`)
  const all = (n) => [...seen.map((s) => s[n]), ...Array(Math.max(0, keys - seen.length)).fill(n === 2 ? 16 : 0)]
  judge.say('a key waits until it is handled, worst', Math.max(...all(0)), 100)
  judge.say('of a hundred, the slowest five until painted', part(all(2), 0.95))
  judge.say('until painted, worst', Math.max(...all(2)), 200)
  await desk.context.close()
}
