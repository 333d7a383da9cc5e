import type { Alarm, AlarmState, Delivery, Entry, Link, Posture, Queue, System, Ticket, Window } from './types'

/** How many rows are held; what is beyond is counted, and read by the lists. */
export const most = { entries: 2_000, tickets: 3_000, deliveries: 500, windows: 500 }

const ended = new Set(['closed', 'not_filed', 'merged', 'cancelled', 'forced_close'])
const troubled = (d: Delivery) => d.state === 'dead' || (d.state === 'pending' && d.attempts > 0)

export const isEnded = (t: Ticket) => ended.has(t.state)

/** The word for how an episode stands, after ISA-18.2. */
export function stateOf(a: Alarm): AlarmState {
  if (a.active) return a.acked ? 'ACK' : 'UNACK'
  if (a.acked) return 'NORMAL'
  return a.latch ? 'LATCHED_RTN' : 'RTN_UNACK'
}

export const isSmoke = (type: string) => type.startsWith('smoke.') || type === 'safety.unreadable'

/** held: by a window that silences it; smoke never is. */
const held = (a: Alarm) => a.cover?.state === 'held' && !isSmoke(a.type)

export const inQueue = (a: Alarm) => (a.active || (!!a.latch && !a.acked)) && !held(a)

/** Rank of need: what is real first, smoke that nobody has seen, other P1 unseen, smoke, active by priority, over and latched. The server's order, for the moment until it is read again. */
function need(e: Entry): [number, number, number, string] {
  const a = e.alarm
  const g = e.group
  const mode = a?.mode ?? g?.mode ?? 'live'
  const type = a?.type ?? g?.members[0]?.type ?? ''
  const priority = a?.priority ?? g?.worst ?? 4
  const unacked = a ? !a.acked : (g?.unacked ?? 0) > 0
  const active = e.state === 'UNACK' || e.state === 'ACK'
  const rank = isSmoke(type) && priority === 1 && unacked ? 0 : priority === 1 && unacked ? 1 : isSmoke(type) && active ? 2 : active ? 3 : 4
  return [mode === 'live' ? 0 : 1, rank, priority, a?.raised ?? g?.oldest ?? '']
}

function byNeed(a: Entry, b: Entry): number {
  const [x, y] = [need(a), need(b)]
  for (let i = 0; i < 4; i++) if (x[i]! !== y[i]!) return x[i]! < y[i]! ? -1 : 1
  return 0
}

/** placed puts one entry before the first that needs somebody less: those that are there are in order. */
function placed(entries: Entry[], e: Entry): Entry[] {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (byNeed(entries[middle]!, e) <= 0) low = middle + 1
    else high = middle
  }
  return entries.toSpliced(low, 0, e).slice(0, most.entries)
}

/** What the console knows now. Each list is replaced when it changes, never altered: compare by identity. */
export interface Known {
  queue: Queue
  tickets: Ticket[] // open, the newest first
  moreTickets: boolean // there are more than are held
  deliveries: Delivery[] // given up, or tried in vain so far
  windows: Window[] // open now: commissioning, shelving, out of service, permits, exercises
  links: Link[]
  posture: Posture | undefined
  system: System | undefined
}

export type Panel = 'queue' | 'tickets' | 'deliveries' | 'windows' | 'links' | 'posture' | 'system'

/** Book holds what the console knows: lists as they were read, and what the stream says since. */
export class Book {
  private queue: Queue = { flood: null, alarms: 0, unacked: 0, held: 0, entries: [] }
  private tickets = new Map<string, Ticket>()
  private deliveries = new Map<string, Delivery>()
  private windows = new Map<string, Window>()
  private links: Link[] = []
  private posture: Posture | undefined
  private system: System | undefined
  private moreTickets = false
  private changed = new Set<Panel>()
  private shown: Known | undefined

  /** readX takes a list's answer. Rows that the stream told of meanwhile are newer: pass them again by tell. */
  readQueue(q: Queue): void {
    this.queue = { ...q, entries: q.entries.slice(0, most.entries) }
    this.changed.add('queue')
  }

  readTickets(items: Ticket[], more: boolean): void {
    this.tickets = new Map(items.filter((t) => !isEnded(t)).slice(0, most.tickets).map((t) => [t.id, t]))
    this.moreTickets = more || items.length > most.tickets
    this.changed.add('tickets')
  }

  readDeliveries(items: Delivery[]): void {
    this.deliveries = new Map(items.filter(troubled).slice(0, most.deliveries).map((d) => [d.id, slim(d)]))
    this.changed.add('deliveries')
  }

  readWindows(items: Window[]): void {
    this.windows = new Map(items.filter((w) => !w.ended).slice(0, most.windows).map((w) => [w.id, w]))
    this.changed.add('windows')
  }

  readLinks(items: Link[]): void {
    this.links = items
    this.changed.add('links')
  }

  readPosture(p: Posture): void {
    this.posture = p
    this.changed.add('posture')
  }

  readSystem(s: System): void {
    this.system = s
    this.changed.add('system')
  }

  /** tell takes a message of the stream; it says which panel it changed, if any. */
  tell(event: string, row: unknown): Panel | undefined {
    const panel = this.take(event, row)
    if (panel) this.changed.add(panel)
    return panel
  }

  private take(event: string, row: unknown): Panel | undefined {
    if (event === 'alarm') return this.takeAlarm(row as Alarm)
    if (event === 'ticket') {
      const t = row as Ticket
      const there = this.tickets.get(t.id)
      if (there && there.revision > t.revision) return undefined // it came late
      if (isEnded(t)) return this.tickets.delete(t.id) ? 'tickets' : undefined
      if (!there && this.tickets.size >= most.tickets) {
        this.moreTickets = true
        return 'tickets'
      }
      this.tickets.set(t.id, t)
      return 'tickets'
    }
    if (event === 'delivery') {
      const d = row as Delivery
      if (!troubled(d)) return this.deliveries.delete(d.id) ? 'deliveries' : undefined
      if (this.deliveries.has(d.id) || this.deliveries.size < most.deliveries) this.deliveries.set(d.id, slim(d))
      return 'deliveries'
    }
    if (event === 'window') {
      const w = row as Window
      if (w.ended) return this.windows.delete(w.id) ? 'windows' : undefined
      if (this.windows.has(w.id) || this.windows.size < most.windows) this.windows.set(w.id, w)
      return 'windows'
    }
    if (event === 'posture') {
      const p = row as Posture & { ended?: string }
      this.posture = p.ended ? { id: '', posture: 'normal', from: p.ended, to: '' } : p // one that has ended is told of too
      return 'posture'
    }
    return undefined
  }

  /** An alarm is put where its need is. Counts and groups are right when the queue has been read again. */
  private takeAlarm(a: Alarm): Panel | undefined {
    const q = this.queue
    const at = q.entries.findIndex((e) => e.alarm?.id === a.id)
    const before = at >= 0 ? q.entries[at]!.alarm! : undefined
    if (before && before.revision > a.revision) return undefined
    if (at < 0 && q.entries.some((e) => e.group?.members.some((m) => m.id === a.id))) return 'queue' // the server counts its groups
    const rest = at >= 0 ? q.entries.toSpliced(at, 1) : q.entries
    const unacked = q.unacked - (before && !before.acked ? 1 : 0)
    if (!inQueue(a)) {
      if (!before) return undefined
      this.queue = { ...q, alarms: q.alarms - 1, unacked, entries: rest }
      return 'queue'
    }
    const entries = placed(rest, { alarm: a, state: stateOf(a) })
    this.queue = { ...q, alarms: q.alarms + (before ? 0 : 1), unacked: unacked + (a.acked ? 0 : 1), entries }
    return 'queue'
  }

  /** known is what there is now; lists that did not change are the same as before. */
  known(): Known {
    const old = this.shown
    const c = this.changed
    this.shown = {
      queue: this.queue,
      tickets: old && !c.has('tickets') ? old.tickets : [...this.tickets.values()].sort((a, b) => (a.opened < b.opened ? 1 : a.opened > b.opened ? -1 : 0)),
      moreTickets: this.moreTickets,
      deliveries: old && !c.has('deliveries') ? old.deliveries : [...this.deliveries.values()],
      windows: old && !c.has('windows') ? old.windows : [...this.windows.values()],
      links: this.links,
      posture: this.posture,
      system: this.system,
    }
    c.clear()
    return this.shown
  }

  dirty(): boolean {
    return this.changed.size > 0
  }
}

/** What is sent is read when it is asked for. */
function slim(d: Delivery): Delivery {
  const { body: _, ...rest } = d as Delivery & { body?: unknown }
  return rest
}
