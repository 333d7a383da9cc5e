import { SvelteMap } from 'svelte/reactivity'
import { live } from '../live.svelte'
import { api } from '../session.svelte'
import type { Ticket } from '../types'

/** What a point is called, as far as a list needs it. */
interface Known {
  name: string
  address?: string
  floor?: string
  room?: string
}

const most = 3_000
const atOnce = 4

const known = new SvelteMap<string, Known | undefined>()
const wanted: string[] = []
let asking = 0

/** ask gets the names of points that are in sight, a few at a time. */
function ask(): void {
  while (asking < atOnce) {
    const id = wanted.pop() // the newest: what is in sight now
    if (id === undefined) return
    asking++
    void api<Known>('/points/' + encodeURIComponent(id))
      .then((p) => known.set(id, { name: p.name, address: p.address, floor: p.floor, room: p.room }))
      .catch(() => known.set(id, undefined)) // it is called by its id then
      .finally(() => {
        asking--
        ask()
      })
  }
}

const asked = new Set<string>()

/** pointName is what a point is called; its id until that is known. */
export function pointName(id: string | undefined): string {
  if (!id) return ''
  const p = known.get(id)
  if (p) return p.name || id
  if (!asked.has(id)) {
    if (asked.size >= most) {
      asked.clear()
      known.clear()
    }
    asked.add(id)
    wanted.push(id)
    queueMicrotask(ask)
  }
  return id
}

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

/** placeOf is where an alarm is, in words: its ticket's place, else its point's name. */
export function placeOf(a: { ticket?: string; point?: string; cell?: string }): string {
  return ticketOf(a.ticket)?.place || pointName(a.point) || a.cell || ''
}
