// Tickets and rounds as the server gives them, as far as the screens read them.
import type { Both, Key } from './i18n'
import { buildingName } from './buildings.svelte'
import { texts } from './texts'

export interface Ticket {
  id: string
  case: string
  type: string
  priority: number
  state: string
  title: string
  place: string
  name?: string // of the point
  point?: string
  device?: string
  opened: string
  due?: string
  overdue?: boolean
  building?: string
  floor?: string
  room?: string
  battery?: string
  do?: Both
  bring?: Both[]
  work_due?: string
  round?: string
  day?: string
  no_entries?: number
  assignments?: { id: string; unit: string; lead: boolean; state: string; attempt: number }[]
}

export interface Job {
  ticket?: string
  type: string
  point?: string
  name?: string
  floor?: string
  room?: string
  device?: string
  battery?: string
  late?: boolean
  state: string
}

export interface Stop {
  n: number
  building?: string
  place: string
  leg_m: number
  jobs: Job[]
  state: 'open' | 'done' | 'no_entry' | 'dropped'
  note?: string
  times?: number
}

export interface Round {
  id: string
  day: string
  state: 'planned' | 'under_way' | 'done' | 'over' | 'cancelled'
  stops: Stop[]
  length_m: number
}

export interface Items<T> {
  items: T[]
  next?: string
}

/** keyOr is a key of the dictionary if it has it: a new type of event is shown by its own name. */
export function keyOr(key: string): Key | undefined {
  return key in texts ? (key as Key) : undefined
}

/** where are the words of a ticket's place: the point's name, and below it what that does not say. */
export function where(x: Pick<Ticket, 'name' | 'place' | 'title' | 'building' | 'floor' | 'room'>): [string, string] {
  if (!x.name) return [x.place || x.title, '']
  return [x.name, [x.building && buildingName(x.building), x.floor, x.room].filter((w) => w && !x.name!.includes(w)).join(' · ')]
}

/** stopPlace is where a stop is, its building by name. */
export function stopPlace(s: Pick<Stop, 'place' | 'building'>): string {
  const name = s.building && buildingName(s.building)
  return name ? s.place.replace(s.building!, name) : s.place
}

/** movesOf are what a technician may do with a ticket now. */
export function movesOf(state: string): ('accept' | 'arrive' | 'resolve' | 'return' | 'note')[] {
  switch (state) {
    case 'dispatched':
    case 'rework':
    case 'filed':
      return ['accept', 'return', 'note']
    case 'accepted':
      return ['arrive', 'resolve', 'return', 'note']
    case 'in_progress':
      return ['resolve', 'return', 'note']
    default:
      return ['note']
  }
}
