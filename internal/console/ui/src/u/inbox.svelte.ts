// The unit's tickets as they are now: the lists, kept on the phone, and a stream that says when
// to read them again. Where the stream breaks they are asked for, more and more seldom.
import { stream } from '../lib/api'
import { setSetting, setting } from '../lib/db'
import { kept, read, type Read } from '../lib/kept'
import { isOnline, me, onBack } from '../lib/phone/net.svelte'
import { acts } from '../lib/phone/queue.svelte'
import { ring } from './bell.svelte'
import { byNeed, partOf, standing, type Ticket } from './need'

interface Items<T> {
  items: T[]
  next?: string
}

/** Delivery is a message to the unit: its body has the place in words, and the points. */
export interface Delivery {
  id: string
  ticket: string
  type: string
  body: { data?: Body }
}

export interface Body {
  note?: string
  title?: string
  place?: { words?: string; name?: string; building?: string; floor?: string; room?: string; lon?: number; lat?: number; crs?: string }
  members?: { event: string; point: string; words: string; at: string }[]
  related?: { event: string; point: string; words: string; at: string }[]
  more_members?: number
}

const tickets = '/tickets?state=open&limit=200'
const messages = '/deliveries?limit=200'

const now = $state<{ list: Ticket[]; bodies: Record<string, Body>; at: string; from: string; fresh: boolean; streaming: boolean; seen: string[]; asked: boolean; failed: unknown; tick: number }>({
  list: [], bodies: {}, at: '', from: '', fresh: false, streaming: false, seen: [], asked: false, failed: undefined, tick: Date.now(),
})

/** verbsOf are the moves of a ticket that wait on this phone, oldest first. */
export const verbsOf = (id: string): string[] =>
  acts().filter((a) => a.kind === 'ticket.move' && a.about?.ticket === id && (a.state === 'waiting' || a.state === 'sending')).map((a) => (a.body as { verb: string }).verb)

export const unit = (): string => me()?.unit?.id ?? ''
/** doneSince are the moves that were taken after the list was asked for: the network may go before it is asked for again. */
const doneSince = (id: string): string[] =>
  acts().filter((a) => a.kind === 'ticket.move' && a.about?.ticket === id && a.state === 'done' && !a.taken && a.done! > now.from).map((a) => (a.body as { verb: string }).verb)
export const stateOf = (t: Ticket): string => standing(partOf(t, unit()), [...doneSince(t.id), ...verbsOf(t.id)])

const shown = $derived(byNeed(now.list.filter((t) => !['returned', 'cancelled'].includes(partOf(t, unit())?.state ?? 'cancelled')), stateOf))

/** mine are the unit's open tickets by need. */
export const mine = (): Ticket[] => shown
export const ticketById = (id: string): Ticket | undefined => now.list.find((t) => t.id === id)
export const bodyOf = (ticket: string): Body => now.bodies[ticket] ?? {}
export const asOf = (): string => now.at
export const streaming = (): boolean => now.streaming
export const asked = (): boolean => now.asked
export const failed = (): unknown => now.failed
/** clock is the phone's, each second, for what counts down. */
export const clock = (): number => now.tick

/** stale says that what is shown may have changed meanwhile. */
export const stale = (): boolean => now.at !== '' && (!isOnline() || !now.fresh || now.tick - Date.parse(now.at) > 90_000)

/** isNew marks what nobody has opened on this phone. */
export const isNew = (t: Ticket): boolean => !now.seen.includes(t.id) && partOf(t, unit())?.state === 'dispatched'

export async function markSeen(id: string): Promise<void> {
  if (now.seen.includes(id)) return
  now.seen = [...now.seen, id].slice(-500)
  await setSetting('seen', [...now.seen])
}

/** startInbox shows what is kept, then listens until the page ends. */
export async function startInbox(): Promise<void> {
  now.seen = (await setting<string[]>('seen')) ?? []
  const [t, m] = await Promise.all([kept<Items<Ticket>>(tickets), kept<Items<Delivery>>(messages)])
  if (t) take(t, m, t.at)
  setInterval(() => (now.tick = Date.now()), 1000)
  onBack(() => void look())
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void look()
  })
  void listen()
}

function take(t: Read<Items<Ticket>>, m: Read<Items<Delivery>> | undefined, from: string, first = true): void {
  const known = new Set(now.list.map((x) => x.id))
  now.list = t.data.items
  const bodies: Record<string, Body> = {}
  for (const d of m?.data.items ?? []) bodies[d.ticket] ??= d.body?.data ?? {}
  now.bodies = bodies
  now.at = t.at
  now.from = t.fresh ? from : t.at
  now.fresh = t.fresh
  if (first) return
  const come = now.list.filter((x) => !known.has(x.id) && isNew(x))
  if (come.length > 0) ring(come.some((x) => x.priority <= 2))
}

let looking: Promise<void> | undefined
let again = false

/** look reads the lists; while it does, one more wish is remembered. */
export function look(): Promise<void> {
  if (looking) {
    again = true
    return looking
  }
  looking = (async () => {
    do {
      again = false
      if (!me()) return
      try {
        const first = !now.asked && now.list.length === 0
        const from = new Date().toISOString()
        const [t, m] = [await read<Items<Ticket>>(tickets), await read<Items<Delivery>>(messages)]
        take(t, m, from, first)
        now.failed = undefined
      } catch (err) {
        now.fresh = false
        now.failed = err
      }
      now.asked = true
    } while (again)
  })().finally(() => (looking = undefined))
  return looking
}

let soon: ReturnType<typeof setTimeout> | undefined

/** hear looks a moment after something has changed: one commit says several things. */
function hear(): void {
  soon ??= setTimeout(() => {
    soon = undefined
    void look()
  }, 150)
}

/** listen keeps a stream open. Each time it breaks the lists are read, and the next try comes later. */
async function listen(): Promise<never> {
  let pause = 1_000
  for (;;) {
    const began = Date.now()
    if (me()) {
      const line = new AbortController()
      // What is silent may be dead: a new line every ten minutes costs little.
      const long = setTimeout(() => line.abort(), 600_000)
      const open = stream('/stream', (m) => { if (['ticket', 'move', 'delivery'].includes(m.event)) hear() }, line.signal, '', () => { now.streaming = true; hear() })
      await open.catch(() => undefined)
      clearTimeout(long)
      now.streaming = false
      await look()
    }
    pause = Date.now() - began > 30_000 ? 1_000 : Math.min(30_000, pause * 1.7)
    await new Promise((go) => setTimeout(go, me() ? pause * (0.75 + Math.random() / 2) : 500))
  }
}
