// An hour of a busy city as fast as the gateway goes: does the desk grow? node e2e/bench/hour.mjs [messages]
// Doors are tampered with and mended, manholes are opened and shut, so that alarms and tickets come
// and go; the desk goes round its screens meanwhile. After each twelfth the memory is cleared and
// what is left is counted: heap, nodes, listeners. Flat is a last third no more than 5 % above the first.
import { writeFileSync } from 'node:fs'
import { openBrowser, openDesk, openPlace, registry, sitDown, until, World } from '../console-harness.mjs'
import { Sender } from '../sender.mjs'
import { busy, Judge, machine } from './load.mjs'

const wanted = Number(process.argv[2] ?? 30_000)
const many = 300
const rounds = 12
const speed = 60 // an hour of the city in a minute: what must last to be an alarm lasts
const doors = Array.from({ length: many }, (_, i) => ({
  ...registry.points[i % 2 ? 1 : 2], id: 'h-' + i, name: `点位 ${i}`, cell: '31010500500100' + (i % 5), building: i % 2 ? 'b-h' + (i % 20) : undefined, lon: 121.35 + (i % 20) / 250, lat: 31.2 + i / 15_000,
}))

/** A city in simulation, as all of it must be where its time runs faster. */
const simulated = (list) => list.map((x) => ({ ...x, mode: 'simulated' }))

export function worldOf() {
  const devices = ['smoke-1', 'door-1', 'cover-1', ...doors.map((p) => p.id)].map((id) => ({ identity: 'sn:' + id, profile: 'gridgate/json' }))
  return World.open({
    config: { simulation: { allowed: true, speed } },
    seed: {
      units: simulated(registry.units), buildings: simulated(registry.buildings), points: simulated([...registry.points, ...doors]), devices: simulated(devices),
      installations: doors.map((p) => ({ device: 'sn:' + p.id, channel: 'main', point: p.id, from: new Date(Date.now() - 60_000).toISOString() })),
    },
  })
}

/** What the page holds once what it does not need is thrown away. */
export async function held(cdp) {
  for (let i = 0; i < 3; i++) await cdp.send('HeapProfiler.collectGarbage')
  const { usedSize } = await cdp.send('Runtime.getHeapUsage')
  const { metrics } = await cdp.send('Performance.getMetrics')
  const of = (name) => metrics.find((m) => m.name === name).value
  return { heap: usedSize / 1e6, nodes: of('Nodes'), listeners: of('JSEventListeners') }
}

/** hour gives what the desk held after each round of messages. */
export async function hour(world, desk, { messages, places = ['#/situation', '#/alarms', '#/tickets'], say = () => {} }) {
  const { page } = desk
  const cdp = await desk.context.newCDPSession(page)
  await cdp.send('Performance.enable')
  await cdp.send('HeapProfiler.enable')
  const sender = await Sender.open(world)
  const seen = []
  let sent = 0
  try {
    // First everything happens once, so that what is open has its full length.
    for (let n = 0; n < 2 * many; n++) await speak(sender, n)
    await worked(world)
    for (let round = 0; round < rounds; round++) {
      const last = []
      const end = sent + Math.max(1, Math.round(messages / rounds / (2 * many))) * 2 * many // each round ends where the first did: all is well
      const visits = [...places, places[0]]
      for (const [n, place] of visits.entries()) {
        await openPlace(desk, place)
        const until = sent + Math.round((end - sent) / (visits.length - n))
        for (; sent < until; sent++) {
          last.push((await speak(sender, 2 * many + sent)).got)
          if (last.length > many) last.shift()
          if (sent % 50 === 0) await note(world, sent)
        }
      }
      await Promise.all(last)
      await worked(world)
      await page.waitForTimeout(1_500) // the last paint, and what it asks for
      seen.push({ sent, ...(await held(cdp)), open: await lists(world) })
      if (process.env.SNAPSHOT && (round === 2 || round === rounds - 1)) await snapshot(cdp, process.env.SNAPSHOT + round)
      say(round, sent, seen.at(-1))
    }
  } finally {
    sender.close()
    await cdp.detach()
  }
  return seen
}

/** speak sends the n-th of the messages: each point in turn, first that something is wrong, then that it is well. */
function speak(sender, n) {
  const i = n % many
  const on = Math.floor(n / many) % 2 === 0
  return sender.say('sn:h-' + i, i % 2 ? { tamper: on, seq: n } : { 'manhole.open': on, 'battery.level': 50 + (n % 40), seq: n })
}

/** note moves a ticket as a person does. */
async function note(world, n) {
  const { items } = await world.api('/tickets?state=open&limit=20')
  const t = items[n % Math.max(1, items.length)]
  if (t) await world.api(`/tickets/${t.id}/moves`, { method: 'POST', body: { verb: 'note', reason: '已查看 ' + n, by: { name: '林', role: 'operator' } } })
}

async function snapshot(cdp, file) {
  const parts = []
  const on = ({ chunk }) => parts.push(chunk)
  cdp.on('HeapProfiler.addHeapSnapshotChunk', on)
  await cdp.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false })
  cdp.off('HeapProfiler.addHeapSnapshotChunk', on)
  writeFileSync(file + '.heapsnapshot', parts.join(''))
}

const worked = (world) => until('the engine has worked off what came', async () => (await world.api('/system')).lanes.every((l) => l.waiting === 0), 300_000)

/** lists is what the server has to say of what is open, in KiB: a desk must hold as much. */
async function lists(world) {
  const all = await Promise.all(['/tickets?state=open&limit=1000', '/alarms/queue?limit=1000', '/deliveries?state=pending&limit=250', '/deliveries?state=dead&limit=250'].map((p) => world.api(p)))
  return all.map((x) => Math.round(JSON.stringify(x).length / 1024))
}

/** growth is by how many per cent the middle of the last third is above that of the first. */
export function growth(seen, what) {
  const middle = (list) => list.map((s) => s[what]).toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
  const third = Math.floor(seen.length / 3)
  const [first, last] = [middle(seen.slice(0, third)), middle(seen.slice(-third))]
  return (100 * (last - first)) / first
}

if (import.meta.filename === process.argv[1]) {
  const world = await worldOf()
  const browser = await openBrowser()
  try {
    const desk = await openDesk(browser, { url: world.url, width: 1366, height: 768, search: '#/system' })
    await sitDown(desk, { token: world.admin })
    const asked = new Map()
    desk.page.on('request', (r) => { const k = new URL(r.url()).pathname.replace(/\/(points|tiles|tickets)\/.*/, '/$1/x'); asked.set(k, (asked.get(k) ?? 0) + 1) })
    const used = busy()
    const begun = Date.now()
    const seen = await hour(world, desk, { messages: wanted, say: (round, sent, s) => console.log(`    ${String(sent).padStart(6)} messages: ${s.heap.toFixed(1)} MB, ${s.nodes} nodes, ${s.listeners} listeners; the server's lists ${s.open.join(' + ')} KiB`) })
    console.log(`${seen.at(-1).sent} messages in ${Math.round((Date.now() - begun) / 1000)} s, the desk on the map, alarms and tickets in turn, ${machine()}, ${used()} % of it used`)
    console.log('    asked: ' + [...asked].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([k, n]) => `${k.replace('/api/v1', '')} ${n}`).join(', '))
    const judge = new Judge()
    for (const what of ['heap', 'nodes', 'listeners']) judge.say(`${what}, last third above the first`, growth(seen, what), 5, '%')
    if (desk.errors.length > 0) throw new Error(desk.errors.join('\n'))
    judge.end()
  } finally {
    await browser.close()
    await world.close()
  }
}
