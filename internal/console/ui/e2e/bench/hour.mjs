// An hour of a busy city as fast as the gateway goes: does the desk grow? node e2e/bench/hour.mjs [messages]
// Doors are tampered with and mended, manholes are opened and shut, so that alarms and tickets come
// and go; the desk goes round its screens meanwhile. Each round ends where it began: all is well and
// every ticket is closed. Then what the page does not need is thrown away and what is left is counted:
// heap, nodes, listeners, and what all its lists, maps and sets have within them.
import { writeFileSync } from 'node:fs'
import { openBrowser, openDesk, openPlace, registry, sitDown, until, World } from '../console-harness.mjs'
import { Sender } from '../sender.mjs'
import { busy, Judge, machine } from './load.mjs'

const speed = 60 // an hour of the city in a minute: what must last to be an alarm lasts

/** A city in simulation, as all of it must be where its time runs faster. */
const simulated = (list) => list.map((x) => ({ ...x, mode: 'simulated' }))

const stands = { '#/situation': '[data-testid=map] canvas', '#/alarms': '[data-testid=queue]', '#/tickets': '#main .tickets' }

/** visit goes to a place and waits until it stands: the heading of the screen before it is one too. */
async function visit(desk, place) {
  await openPlace(desk, place)
  await desk.page.locator(stands[place]).first().waitFor({ timeout: 60_000 })
}

const doorsOf = (many) => Array.from({ length: many }, (_, i) => ({
  ...registry.points[i % 2 ? 1 : 2], id: 'h-' + i, name: `点位 ${i}`, cell: '31010500500100' + (i % 5), building: i % 2 ? 'b-h' + (i % 20) : undefined, lon: 121.35 + (i % 20) / 250, lat: 31.2 + i / 15_000,
}))

/** worldOf is a city at sixty times the speed with so many doors and manholes. */
export async function worldOf(many) {
  const doors = doorsOf(many)
  const devices = ['smoke-1', 'door-1', 'cover-1', ...doors.map((p) => p.id)].map((id) => ({ identity: 'sn:' + id, profile: 'gridgate/json' }))
  const world = await World.open({
    config: { simulation: { allowed: true, speed } },
    seed: {
      units: simulated(registry.units), buildings: simulated(registry.buildings), points: simulated([...registry.points, ...doors]), devices: simulated(devices),
      installations: doors.map((p) => ({ device: 'sn:' + p.id, channel: 'main', point: p.id, from: new Date(Date.now() - 60_000).toISOString() })),
    },
  })
  world.many = many
  return world
}

const counts = ['nodes', 'listeners', 'kept']

/** held is what the page holds once what it does not need is thrown away. What is freed a little later is not held: it looks until it sees no less. */
export async function held(cdp) {
  let least
  for (let same = 0, n = 0; same < 2 && n < 30; n++) {
    const now = await look(cdp)
    same = least && counts.every((k) => now[k] >= least[k]) ? same + 1 : 0
    least = least ? Object.fromEntries(Object.keys(now).map((k) => [k, Math.min(now[k], least[k])])) : now
    await new Promise((go) => setTimeout(go, 400))
  }
  return least
}

async function look(cdp) {
  for (let i = 0; i < 2; i++) await cdp.send('HeapProfiler.collectGarbage')
  const { usedSize } = await cdp.send('Runtime.getHeapUsage')
  const { metrics } = await cdp.send('Performance.getMetrics')
  const of = (name) => metrics.find((m) => m.name === name).value
  return { heap: usedSize / 1e6, nodes: of('Nodes'), listeners: of('JSEventListeners'), kept: await kept(cdp) }
}

/** kept counts what all maps, sets and lists of the page have within them: whatever is never dropped stands in one of them. */
async function kept(cdp) {
  let sum = 0
  for (const [kind, size] of [['Map', 'size'], ['Set', 'size'], ['Array', 'length']]) {
    const { result } = await cdp.send('Runtime.evaluate', { expression: kind + '.prototype', objectGroup: 'kept' })
    const { objects } = await cdp.send('Runtime.queryObjects', { prototypeObjectId: result.objectId, objectGroup: 'kept' })
    const got = await cdp.send('Runtime.callFunctionOn', { objectId: objects.objectId, functionDeclaration: `function () { let n = 0; for (const x of this) { try { n += x.${size} } catch {} } return n }`, returnByValue: true })
    sum += got.result.value
    await cdp.send('Runtime.releaseObjectGroup', { objectGroup: 'kept' })
  }
  return sum
}

/** counting begins to look into a desk's page. */
export async function counting(desk) {
  const cdp = await desk.context.newCDPSession(desk.page)
  await cdp.send('Performance.enable')
  await cdp.send('HeapProfiler.enable')
  return cdp
}

/** hour gives what the desk held after each round of so many messages; what comes before (warm) fills its lists and is not told. */
export async function hour(world, desk, { messages, rounds, warm, places = ['#/situation', '#/alarms', '#/tickets'], say = () => {} }) {
  const cdp = await counting(desk)
  const sender = await Sender.open(world)
  const whole = 2 * world.many // after so many messages all is as it was
  const each = Math.max(1, Math.round(messages / rounds / whole)) * whole
  const seen = []
  let sent = 0
  try {
    for (let round = -warm; round < rounds; round++) {
      const last = []
      const end = sent + each
      for (const [n, place] of places.entries()) {
        await visit(desk, place)
        const until = sent + Math.round((end - sent) / (places.length - n))
        for (; sent < until; sent++) {
          last.push((await speak(sender, sent, world.many)).got)
          if (last.length > 300) last.shift()
          if (sent % 50 === 0) await note(world, sent)
        }
      }
      await Promise.all(last)
      await closed(world, sender)
      await visit(desk, places[0])
      await rests(desk)
      const now = await held(cdp)
      if (process.env.SNAPSHOT && (round === 0 || round === rounds - 1)) await snapshot(cdp, process.env.SNAPSHOT + round)
      if (round >= 0) seen.push(now)
      say(round, sent, now)
    }
  } finally {
    sender.close()
    await cdp.detach()
  }
  return { seen, sent: rounds * each }
}

/** speak sends the n-th of the messages: each point in turn, first that something is wrong, then that it is well. */
function speak(sender, n, many) {
  const i = n % many
  const on = Math.floor(n / many) % 2 === 0
  return sender.say('sn:h-' + i, i % 2 ? { tamper: on, seq: n } : { 'manhole.open': on, 'battery.level': 50 + (n % 40), seq: n })
}

/** note moves a ticket as a person does. */
async function note(world, n) {
  const { items } = await world.api('/tickets?state=open&limit=20')
  const t = items[n % Math.max(1, items.length)]
  if (t) await move(world, t, 'note', '林', 'operator')
}

const move = (world, t, verb, name, role) => world.api(`/tickets/${t.id}/moves`, { method: 'POST', body: { verb, reason: '已查看', by: { name, role } } })

/** closed waits until all is well and has two persons close every ticket. */
async function closed(world, sender) {
  await until('the engine has worked off what came', async () => (await world.api('/system')).lanes.every((l) => l.waiting === 0), 300_000)
  await until('nothing is in alarm', async () => {
    const { alarms, entries } = await world.api('/alarms/queue?limit=50')
    for (const { alarm: a } of entries) if (a?.device) await (await sender.say(a.device, a.type === 'device.tamper' ? { tamper: false } : { 'manhole.open': false })).got // a sensor says again how it is
    if (alarms > 0) throw new Error(`${alarms} are, as ${JSON.stringify(entries[0])}`)
    return true
  }, 60_000)
  for (;;) {
    const { items } = await world.api('/tickets?state=open&limit=50')
    if (items.length === 0) return
    await Promise.all(items.map(async (t) => {
      try {
        for (const name of ['陈', '王']) await move(world, t, 'force_close', name, 'supervisor')
      } catch (err) {
        if (!/ 409 /.test(err.message)) throw err // it has closed by itself meanwhile
      }
    }))
  }
}

/** rests waits until the desk says that nothing is open, and has drawn it. */
async function rests(desk) {
  const line = desk.page.getByTestId('line')
  await line.getByTestId('open').getByText('0', { exact: true }).waitFor({ timeout: 60_000 })
  await line.locator('a[href="#/tickets"] + small', { hasText: /^\D*0\D*$/ }).waitFor({ timeout: 60_000 })
  await desk.page.waitForTimeout(1_500) // the last paint, and what it asks for
}

async function snapshot(cdp, file) {
  const parts = []
  const on = ({ chunk }) => parts.push(chunk)
  cdp.on('HeapProfiler.addHeapSnapshotChunk', on)
  await cdp.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false })
  cdp.off('HeapProfiler.addHeapSnapshotChunk', on)
  writeFileSync(file + '.heapsnapshot', parts.join(''))
}

/** opened opens a ticket's drawer and closes it again, so many times. */
export async function opened(desk, ids, times) {
  for (let i = 0; i < times; i++) {
    const id = ids[i % ids.length]
    await openPlace(desk, '#/tickets?ticket=' + id)
    await desk.page.locator('aside .stages').waitFor()
    if (i % 4 === 0) await desk.page.locator('[role=tab]').nth(1).click() // the whole way, with what it reads
    await desk.page.keyboard.press('Escape')
    await desk.page.locator('aside .stages').waitFor({ state: 'detached' })
  }
}

/** growth is by how many per cent the middle of the last third is above that of the first. */
export function growth(seen, what) {
  const middle = (list) => list.map((s) => s[what]).toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
  const third = Math.floor(seen.length / 3)
  const [first, last] = [middle(seen.slice(0, third)), middle(seen.slice(-third))]
  return (100 * (last - first)) / first
}

if (import.meta.filename === process.argv[1]) {
  const world = await worldOf(300)
  const browser = await openBrowser()
  const judge = new Judge()
  try {
    const desk = await openDesk(browser, { url: world.url, width: 1366, height: 768, search: '#/system' })
    await sitDown(desk, { token: world.admin })
    const asked = new Map()
    desk.page.on('request', (r) => { const k = new URL(r.url()).pathname.replace(/\/(points|tiles|tickets)\/.*/, '/$1/x'); asked.set(k, (asked.get(k) ?? 0) + 1) })
    const used = busy()
    const begun = Date.now()
    const { seen, sent } = await hour(world, desk, {
      messages: Number(process.argv[2] ?? 30_000), rounds: 12, warm: 3,
      say: (round, sent, s) => console.log(`    ${round < 0 ? 'to begin' : String(round + 1).padStart(8)}, ${String(sent).padStart(6)} messages: ${s.heap.toFixed(2)} MB, ${s.nodes} nodes, ${s.listeners} listeners, ${s.kept} kept in lists`),
    })
    console.log(`${sent} messages in ${Math.round((Date.now() - begun) / 1000)} s, the desk on the map, alarms and tickets in turn, ${machine()}, ${used()} % of it used`)
    console.log('    asked: ' + [...asked].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([k, n]) => `${k.replace('/api/v1', '')} ${n}`).join(', '))
    for (const what of ['heap', 'nodes', 'listeners', 'kept']) judge.say(`hour of messages: ${what === 'kept' ? 'kept in lists' : what}, last third above the first`, growth(seen, what), 3, '%')
    await drawers(world, desk, judge)
    if (desk.errors.length > 0) throw new Error(desk.errors.join('\n'))
    judge.end()
  } finally {
    await browser.close()
    await world.close()
  }
}

/** drawers opens and closes a ticket two hundred times, in six rounds. */
async function drawers(world, desk, judge) {
  const sender = await Sender.open(world)
  for (let i = 0; i < 10; i++) await (await speak(sender, 2 * i + 1, world.many)).got
  sender.close()
  const ids = await until('there are tickets', async () => { const { items } = await world.api('/tickets?state=open'); return items.length >= 5 && items.slice(0, 5).map((t) => t.id) })
  await openPlace(desk, '#/tickets')
  const cdp = await counting(desk)
  const seen = []
  for (let round = 0; round < 7; round++) {
    await opened(desk, ids, 34)
    const now = await held(cdp)
    console.log(`    ${34 * (round + 1)} drawers: ${now.heap.toFixed(2)} MB, ${now.nodes} nodes, ${now.listeners} listeners, ${now.kept} kept in lists`)
    if (round > 0) seen.push(now)
  }
  for (const what of ['heap', 'nodes', 'listeners', 'kept']) judge.say(`a ticket opened 204 times: ${what === 'kept' ? 'kept in lists' : what}, last third above the first`, growth(seen, what), 3, '%')
}
