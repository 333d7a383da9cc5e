// An hour of a busy district in some minutes: does the desk grow? node e2e/bench/hour.mjs [frames]
// Doors are tampered with and mended, manholes are opened and shut, so that alarms and tickets come
// and go; the desk goes round its screens meanwhile, then a ticket's drawer is opened 200 times. Each
// round ends where it began: all is well and every ticket is closed. Then the browser writes its heap
// down (heap.mjs). Flat is: after the first rounds the page's objects, nodes and listeners do not grow.
// A busy district says one thing a second to each desk: with less than 3,600 it was no hour.
import { openBrowser, openDesk, openPlace, registry, sitDown, until, World } from '../console-harness.mjs'
import { Sender } from '../sender.mjs'
import { counting, grown, held } from './heap.mjs'
import { busy, Judge, machine } from './load.mjs'

export { counting, held }

const speed = 60 // an hour of the city in a minute: what must last to be an alarm lasts

/** A city in simulation, as all of it must be where its time runs faster. */
const simulated = (list) => list.map((x) => ({ ...x, mode: 'simulated' }))

const stands = { '#/situation': '[data-testid=map] canvas', '#/alarms': '[data-testid=queue]', '#/tickets': '#main .tickets', '#/system': '#main [role=tabpanel] > *' }

/** visit goes to a place and waits until it stands: the heading of the screen before it is one too. */
export async function visit(desk, place) {
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

/** hour gives what the desk held after each round of so many frames, and what the stream said meanwhile; rounds before the first (warm) fill its lists and are not told. */
export async function hour(world, desk, { frames, rounds, warm, places = ['#/situation', '#/alarms', '#/tickets'], say = () => {} }) {
  const cdp = await counting(desk)
  const sender = await Sender.open(world)
  const stream = heard(world)
  const whole = 2 * world.many // after so many frames all is as it was
  const each = Math.max(1, Math.round(frames / rounds / whole)) * whole
  const seen = []
  let [sent, before] = [0, 0]
  try {
    for (let round = -warm; round < rounds; round++) {
      if (round === 0) before = stream.messages
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
      await visit(desk, '#/system') // where no map is drawn, which keeps what it likes
      await rests(desk)
      const now = await held(cdp)
      if (round >= 0) seen.push(now)
      say(round, stream.messages, now)
    }
  } finally {
    sender.close()
    stream.stop()
    await cdp.detach()
  }
  return { seen, messages: stream.messages - before }
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

/** heard counts what the stream says, as a desk hears it: it begins again where it is cut because it was slow. */
function heard(world) {
  const line = new AbortController()
  const it = { messages: 0, stop: () => line.abort() }
  const headers = { Authorization: 'Bearer ' + world.admin, Accept: 'text/event-stream' }
  const once = async () => {
    const res = await fetch(world.url + '/api/v1/stream', { headers, signal: line.signal })
    for await (const text of res.body.pipeThrough(new TextDecoderStream())) it.messages += text.split('\ndata:').length - 1
  }
  void (async () => {
    while (!line.signal.aborted) await once().catch(() => {})
  })()
  return it
}

/** growth is by how many per cent the middle of the last third is above that of the first. */
export function growth(seen, what) {
  const middle = (list) => list.map((s) => s[what]).toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
  const third = Math.ceil(seen.length / 3)
  const [first, last] = [middle(seen.slice(0, third)), middle(seen.slice(-third))]
  return first === last ? 0 : (100 * (last - first)) / first
}

const inWords = (s) => `objects ${(s.objects / 1000).toFixed(2)} MB in ${s.count}, code ${(s.code / 1000).toFixed(2)} MB, ${s.nodes} nodes (${s.detached} left over), ${s.listeners} listeners`

/** flat judges what the page held after equal rounds. */
function flat(judge, what, seen) {
  for (const [name, key, most] of [['objects', 'objects', 2], ['number of objects', 'count', 2], ['nodes', 'nodes', 2], ['listeners', 'listeners', 2]]) judge.say(`${what}: ${name}, last third above the first`, growth(seen, key), most, '%')
  judge.say(`${what}: nodes left over, more than at first`, seen.at(-1).detached - seen[0].detached, 50, '')
  judge.say(`${what}: code, all of it`, seen.at(-1).code / 1000, 15, 'MB')
  console.log('    what there is more of: ' + grown(seen[0], seen.at(-1)).map((g) => `${g.name} +${g.count} (${(g.bytes / 1000).toFixed(1)} KB)`).join(', '))
}

if (import.meta.filename === process.argv[1]) {
  const world = await worldOf(300)
  const browser = await openBrowser()
  const judge = new Judge()
  try {
    const desk = await openDesk(browser, { url: world.url, width: 1366, height: 768, search: '#/system' })
    await sitDown(desk, { token: world.admin })
    const used = busy()
    const at = machine()
    const begun = Date.now()
    const { seen, messages } = await hour(world, desk, {
      frames: Number(process.argv[2] ?? 57_600), rounds: 12, warm: 2,
      say: (round, said, s) => console.log(`  ${round < 0 ? 'to begin' : String(round + 1).padStart(8)}, ${Math.round((Date.now() - begun) / 1000)} s, ${said} messages: ${inWords(s)}`),
    })
    console.log(`${messages} messages of the stream and ${((Date.now() - begun) / 60_000).toFixed(1)} hours of the city in ${Math.round((Date.now() - begun) / 1000)} s, the desk on the map, alarms and tickets in turn, ${at}, ${used()} % of it used`)
    judge.say('an hour of a busy district: messages that are missing', Math.max(0, 3600 - messages), 1, '')
    flat(judge, 'hour', seen)
    flat(judge, '200 drawers', await drawers(world, desk))
    if (desk.errors.length > 0) throw new Error(desk.errors.join('\n'))
    judge.end()
  } finally {
    await browser.close()
    await world.close()
  }
}

/** drawers opens and closes a ticket two hundred times, in six rounds after the first. */
async function drawers(world, desk) {
  const sender = await Sender.open(world)
  for (let i = 0; i < 10; i++) await (await sender.say('sn:h-' + (2 * i + 1), { tamper: true })).got
  sender.close()
  const ids = await until('there are tickets', async () => { const { items } = await world.api('/tickets?state=open'); return items.length >= 5 && items.slice(0, 5).map((t) => t.id) })
  await openPlace(desk, '#/tickets')
  const cdp = await counting(desk)
  const seen = []
  for (let round = -1; round < 6; round++) {
    await opened(desk, ids, 34)
    const now = await held(cdp)
    console.log(`  ${round < 0 ? 'to begin' : String(34 * (round + 1)).padStart(8)} drawers: ${inWords(now)}`)
    if (round >= 0) seen.push(now)
  }
  return seen
}
