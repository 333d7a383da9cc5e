import type { Alarm, Entry, Ticket } from '../types'
import type { Selection } from '../selection.svelte'

/** What is selected with an alarm, a ticket, a group: all that belongs to it. */
export const ofAlarm = (a: Pick<Alarm, 'id' | 'point' | 'ticket'>): Selection => ({ alarm: a.id, point: a.point, ticket: a.ticket, cell: undefined })
export const ofTicket = (x: Pick<Ticket, 'id' | 'point' | 'alarm'>): Selection => ({ ticket: x.id, point: x.point, alarm: x.alarm || undefined, cell: undefined })
export const ofArea = (code: string): Selection => ({ cell: code, point: undefined, alarm: undefined, ticket: undefined })
export const ofPoint = (id: string): Selection => ({ point: id, cell: undefined, alarm: undefined, ticket: undefined })

/** inArea: a cell's code begins with that of the street that it lies in. */
export const inArea = (row: { cell?: string; street?: string }, area: string): boolean => row.cell === area || (row.cell ?? row.street ?? '').startsWith(area) || row.street === area

/** A row of the queue belongs to what is selected. */
export function entryPicked(e: Entry, s: Selection): boolean {
  if (e.group) return (!!s.alarm && e.group.members.some((m) => m.id === s.alarm)) || (!s.alarm && !!s.cell && e.group.cell === s.cell)
  const a = e.alarm!
  if (s.alarm) return a.id === s.alarm
  if (s.ticket) return a.ticket === s.ticket
  if (s.point) return a.point === s.point
  return !!s.cell && inArea(a, s.cell)
}

export function ticketPicked(x: Ticket, s: Selection): boolean {
  if (s.ticket) return x.id === s.ticket
  if (s.alarm) return x.alarm === s.alarm
  if (s.point) return x.point === s.point
  return !!s.cell && inArea(x, s.cell)
}

/** byNeed: what is over its time, then by priority, then what is due first. */
export function byNeed(a: Ticket, b: Ticket): number {
  return Number(b.overdue ?? false) - Number(a.overdue ?? false) || a.priority - b.priority || (a.due ?? '9').localeCompare(b.due ?? '9')
}
