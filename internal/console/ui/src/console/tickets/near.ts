import type { Alarm, Ticket } from '../types'

/** What the server says of an incident, as far as it is shown here. */
export interface Incident {
  id: string
  type: string
  priority: Ticket['priority']
  place: string
  building?: string
  cell?: string
  ticket?: string
  opened: string
  ended?: string
  active?: number
  related?: string[]
}

/** Why something stands beside a ticket: the server linked the incidents, one house, one cell. */
export type Tie = 'related' | 'building' | 'cell'

/** One alarm or incident beside a ticket. */
export interface Near {
  key: string
  tie: Tie
  type: string
  priority: Ticket['priority']
  point?: string
  place?: string // a building or cell, where no point is said
  ticket?: string
  alarm?: string
  at: string
  active?: number
}

const order: Tie[] = ['related', 'building', 'cell']

/**
 * nearTo are the open alarms and incidents beside a ticket, each once: those that the server
 * has linked, then of the same house, then of the same cell; of each kind the worst first.
 * Drills stay with drills.
 */
export function nearTo(t: Ticket, building: string | undefined, linked: Incident[], alarms: Alarm[]): Near[] {
  const own = new Set([t.alarm, ...(t.members ?? []).map((m) => m.alarm)])
  const out: Near[] = linked
    .filter((i) => !i.ended && i.id !== t.incident)
    .map((i) => ({ key: i.id, tie: 'related', type: i.type, priority: i.priority, place: i.building || i.cell || i.place, ticket: i.ticket, at: i.opened, active: i.active }))
  const said = new Set(linked.map((i) => i.id))
  for (const a of alarms) {
    if (a.mode !== t.mode || own.has(a.id) || a.ticket === t.id || (a.incident && (said.has(a.incident) || a.incident === t.incident))) continue
    const tie: Tie | undefined = building && a.building === building ? 'building' : t.cell && a.cell === t.cell ? 'cell' : undefined
    if (tie) out.push({ key: a.id, tie, type: a.type, priority: a.priority, point: a.point, ticket: a.ticket, alarm: a.id, at: a.raised })
  }
  return out.sort((a, b) => order.indexOf(a.tie) - order.indexOf(b.tie) || a.priority - b.priority || (a.at < b.at ? -1 : 1))
}
