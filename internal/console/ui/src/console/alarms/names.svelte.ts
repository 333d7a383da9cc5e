import { live } from '../live.svelte'
import { placeOf as pointOf, placeWords } from '../places.svelte'
import type { Ticket } from '../types'

let of: Ticket[] | undefined
let byID = new Map<string, Ticket>()

/** ticketOf is an open ticket, if it is known. */
export function ticketOf(id: string | undefined): Ticket | undefined {
  if (live.tickets !== of) {
    of = live.tickets
    byID = new Map(of.map((t) => [t.id, t]))
  }
  return id ? byID.get(id) : undefined
}

/** placeOf is where an alarm is, in words: its ticket's place, else its point's name and address. */
export function placeOf(a: { ticket?: string; point?: string; cell?: string }): string {
  const place = ticketOf(a.ticket)?.place
  if (place) return place
  const p = pointOf(a.point)
  return [p?.address, placeWords(a.point)].filter(Boolean).join(', ') || a.cell || ''
}

/** pointName is what a point is called; its id until that is known. */
export const pointName = placeWords
