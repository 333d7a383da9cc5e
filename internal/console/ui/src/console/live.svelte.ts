import { Problem, Unreachable, type Message } from '../lib/api'
import { Book, type Known, type Panel } from './book'
import { CityClock } from './cityclock'
import { Line } from './line'
import { api, me, setRefused } from './session.svelte'
import type { Delivery, Link, Page, Posture, Queue, System, Ticket, Window } from './types'

/** How the console stands to the server. */
export type LinkState = 'connecting' | 'live' | 'lost' | 'refused'

const paintEvery = 250 // ms: four paints a second
const askEvery = 5_000
const askWithin = 4_000
const linksEvery = 10_000
const queueEvery = 1_000
const openKinds = ['windows', 'permits', 'exercises'] as const

const panels: Panel[] = ['queue', 'tickets', 'deliveries', 'windows', 'links', 'posture', 'system']
const book = new Book()
const city = new CityClock()

interface State {
  known: Known
  link: LinkState
  since: number // when the link came to be so, local ms
  heard: number // when the server last said anything, local ms
  round: number // rises with each reading of the lists after a break
  stale: Record<Panel, boolean>
  now: number // the server's time, moving each second
  desk: number // ours, moving with it
}

let s = $state.raw<State>({
  known: book.known(), link: 'connecting', since: Date.now(), heard: 0, round: 0,
  stale: Object.fromEntries(panels.map((p) => [p, true])) as Record<Panel, boolean>, now: Date.now(), desk: Date.now(),
})

/** Each part is told of by itself: who reads the round is not woken by every paint and every second. */
class Told {
  readonly queue = $derived(s.known.queue)
  readonly tickets = $derived(s.known.tickets)
  readonly moreTickets = $derived(s.known.moreTickets)
  readonly deliveries = $derived(s.known.deliveries)
  readonly windows = $derived(s.known.windows)
  readonly links = $derived(s.known.links)
  readonly posture = $derived(s.known.posture)
  readonly system = $derived(s.known.system)
  /** How the line to the server is. Only "live" may look well. */
  readonly link = $derived(s.link)
  readonly linkSince = $derived(s.since)
  readonly heard = $derived(s.heard)
  /** It rises when the lists were read after a break: read your own again. */
  readonly round = $derived(s.round)
  readonly stale = $derived(s.stale)
  readonly now = $derived(s.now)
  readonly desk = $derived(s.desk)
}

/** What the server says now. Reactive; lists keep their identity while they do not change. */
export const live = new Told()

/** A panel's data may be old: the line is lost, or it was not read again since. */
export function isStale(panel: Panel): boolean {
  return live.link !== 'live' || live.stale[panel]
}

/** The server's time in ms, moving each second; clocks count by it. Of a simulation it runs at the city's speed. */
export function serverNow(): number {
  return live.now
}

/** This computer's time in ms, moving each second. */
export function deskNow(): number {
  return live.desk
}

type Listener = (event: string, row: unknown) => void
const listeners = new Set<Listener>()

/** onMessage hears each message of the stream (event, alarm, ticket, move, delivery, downlink, window, posture, visit, discovered) until the given function is called. */
export function onMessage(fn: Listener): () => void {
  listeners.add(fn)
  return () => listeners.delete(fn)
}

function set(change: Partial<State>): void {
  s = { ...s, ...change }
}

let painting: ReturnType<typeof setTimeout> | undefined
let painted = 0

/** paint shows what came, at most four times a second. */
function paint(): void {
  if (painting) return
  painting = setTimeout(
    () => {
      painting = undefined
      painted = Date.now()
      set({ known: book.known(), heard: Math.max(s.heard, heardAt) })
    },
    Math.max(0, painted + paintEvery - Date.now()),
  )
}

let heardAt = 0
let running: { line: Line; stop: () => void } | undefined
let reading = 0 // which reading of the lists is the newest

/** start begins to read and follow; stop ends it. One at a time. */
export function start(): void {
  stop()
  const line = new Line('/stream', () => me()?.token ?? '', {
    up() {
      heardAt = Date.now()
      void readAll()
    },
    down(why) {
      reading++ // what is being read is of the line that broke
      lost(why === 'refused' ? 'refused' : 'lost')
    },
    message,
  })
  const timers = [setInterval(() => void beat(line), askEvery), setInterval(() => void readLinks(), linksEvery), setInterval(tickSecond, 1_000)]
  const back = () => line.again()
  addEventListener('online', back)
  const gone = () => line.broken()
  addEventListener('offline', gone)
  running = {
    line,
    stop() {
      line.stop()
      for (const x of timers) clearInterval(x)
      removeEventListener('online', back)
      removeEventListener('offline', gone)
    },
  }
  void line.run()
}

export function stop(): void {
  running?.stop()
  running = undefined
}

function tickSecond(): void {
  const desk = Date.now()
  set({ now: city.at(desk), desk })
}

function lost(link: LinkState): void {
  setRefused(link === 'refused')
  if (s.link !== link) set({ link, since: Date.now() })
}

/** beat asks how the server is. One that does not answer is lost, whatever the stream seems to be. */
async function beat(line: Line): Promise<void> {
  if (s.link !== 'live') return
  try {
    await readSystem(reading)
  } catch (err) {
    if (err instanceof Unreachable) line.broken()
  }
}

function message(m: Message): void {
  heardAt = Date.now()
  if (m.event === 'gap') return // the lists are read after each break anyway
  let row: unknown
  try {
    row = JSON.parse(m.data)
  } catch {
    return
  }
  if (sinceRead) sinceRead.push([m.event, row])
  const panel = book.tell(m.event, row)
  if (m.event === 'alarm') queueSoon()
  if (panel) paint()
  for (const fn of listeners) fn(m.event, row)
}

/** What the stream said while the lists were being read: it is newer than they are. */
let sinceRead: [string, unknown][] | undefined

async function readAll(): Promise<void> {
  const mine = ++reading
  sinceRead = []
  try {
    await Promise.all([readSystem(mine), readQueue(mine), readTickets(mine), readDeliveries(mine), readWindows(mine), readLinks(mine), readPosture(mine)])
  } catch (err) {
    if (mine !== reading) return
    if (err instanceof Problem && err.status === 401) lost('refused')
    else running?.line.broken() // half of a picture is none: begin again
    return
  }
  if (mine !== reading) return
  for (const [event, row] of sinceRead) book.tell(event, row)
  sinceRead = undefined
  setRefused(false)
  set({ known: book.known(), link: 'live', since: Date.now(), heard: heardAt, round: s.round + 1, stale: Object.fromEntries(panels.map((p) => [p, false])) as Record<Panel, boolean> })
}

async function readSystem(mine: number): Promise<void> {
  const asked = Date.now()
  const got = await api<System>('/system', { within: askWithin })
  if (mine !== reading) return
  heardAt = Date.now()
  if (city.hear(Date.parse(got.now), got.simulation?.speed ?? 1, (asked + heardAt) / 2)) tickSecond()
  book.readSystem(got)
  paint()
}

let queueTimer: ReturnType<typeof setTimeout> | undefined

/** queueSoon reads the queue again, for its order, counts and groups: never two at once, and less often the longer it takes. */
function queueSoon(): void {
  queueTimer ??= setTimeout(() => {
    const begun = Date.now()
    void readQueue(reading)
      .catch(() => {})
      .finally(() => {
        const again = waiting
        queueTimer = undefined
        waiting = false
        if (again) setTimeout(queueSoon, 3 * (Date.now() - begun))
      })
    waiting = false
  }, queueEvery)
  waiting = true
}
let waiting = false

async function readQueue(mine: number): Promise<void> {
  const got = await api<Queue>('/alarms/queue?limit=1000')
  if (mine !== reading) return
  book.readQueue(got)
  paint()
}

async function readTickets(mine: number): Promise<void> {
  const items: Ticket[] = []
  let next: string | undefined
  for (let page = 0; page < 3; page++) {
    const got: Page<Ticket> = await api(`/tickets?state=open&limit=1000${next ? '&cursor=' + encodeURIComponent(next) : ''}`)
    items.push(...got.items)
    next = got.next
    if (!next) break
  }
  if (mine === reading) book.readTickets(items, !!next)
}

async function readDeliveries(mine: number): Promise<void> {
  const [dead, pending] = await Promise.all([api<Page<Delivery>>('/deliveries?state=dead&limit=250'), api<Page<Delivery>>('/deliveries?state=pending&limit=250')])
  if (mine === reading) book.readDeliveries([...dead.items, ...pending.items])
}

async function readWindows(mine: number): Promise<void> {
  const got = await Promise.all(openKinds.map((k) => api<Page<Window>>(`/${k}?state=open&limit=250`)))
  if (mine === reading) book.readWindows(got.flatMap((p) => p.items))
}

async function readLinks(mine = reading): Promise<void> {
  try {
    const got = await api<Page<Link>>('/transports')
    if (mine !== reading) return
    book.readLinks(got.items)
    if (s.stale.links && s.link === 'live') set({ stale: { ...s.stale, links: false } })
    paint()
  } catch (err) {
    if (mine !== reading) return
    if (err instanceof Problem && err.status === 503) return
    set({ stale: { ...s.stale, links: true } })
  }
}

async function readPosture(mine: number): Promise<void> {
  const got = await api<Posture>('/posture')
  if (mine === reading) book.readPosture(got)
}
