// Of a unit's tickets: which part is its own, what comes first, which clock runs, what may be done.
import { after } from '../lib/phone/moves'

export interface Assignment {
  id: string
  unit: string
  lead: boolean
  state: string
  attempt: number
  stand_down?: boolean
}

export interface Clock {
  name: string
  started: string
  due: string
  stopped?: string
}

export interface Member {
  type: string
  point?: string
  place?: string
  at: string
}

export interface Ticket {
  id: string
  case: string
  type: string
  priority: number
  mode: string
  state: string
  verification: string
  opened: string
  due?: string
  overdue?: boolean
  title: string
  place: string
  point?: string
  rework: number
  moves: number
  revision: number
  assignments?: Assignment[]
  clocks?: Clock[]
  members?: Member[]
  related?: Member[]
}

export type Verb = 'accept' | 'arrive' | 'verify' | 'resolve' | 'return' | 'note' | 'resume' | 'confirm'

/** partOf is the unit's own part of a ticket: the newest, if it came back to it. */
export const partOf = (t: Ticket, unit: string): Assignment | undefined => t.assignments?.filter((a) => a.unit === unit).at(-1)

/** standing is the state of the part, with what waits on this phone done to it. */
export const standing = (part: Assignment | undefined, verbs: string[]): string => after(part?.state ?? '', verbs)

/** movesOf are what the table of moves lets a unit do with a part in a state, the next step first. */
export function movesOf(state: string): Verb[] {
  switch (state) {
    case 'dispatched':
      return ['accept', 'verify', 'return', 'note']
    case 'accepted':
      return ['arrive', 'verify', 'note']
    case 'in_progress':
      return ['resolve', 'verify', 'note']
    case 'suspended':
      return ['resume', 'verify', 'note']
    case 'resolved':
    case 'checking':
      return ['confirm', 'note']
    default:
      return ['note']
  }
}

const clockOf: Record<string, string[]> = { dispatched: ['accept'], accepted: ['arrive', 'handle'], in_progress: ['handle'] }

/** running is the clock that a person must beat now: of the next step, else the whole ticket's. */
export function running(t: Ticket, state: string): { name: string; due: string } | undefined {
  for (const name of clockOf[state] ?? []) {
    const c = t.clocks?.find((x) => x.name === name && !x.stopped && Date.parse(x.due) > 0)
    if (c) return { name, due: c.due }
  }
  return t.due && ['dispatched', 'accepted', 'in_progress'].includes(state) ? { name: 'total', due: t.due } : undefined
}

function rank(t: Ticket, state: string): number {
  if (state === 'dispatched' && t.priority <= 2) return 0
  if (t.overdue && ['dispatched', 'accepted', 'in_progress'].includes(state)) return 1
  return { dispatched: 2, accepted: 3, in_progress: 3, suspended: 4 }[state] ?? 5
}

/** byNeed orders: urgent and not accepted, overdue, not accepted, under way, suspended, waiting for others; within by priority and what is due. */
export function byNeed(all: Ticket[], stateOf: (t: Ticket) => string): Ticket[] {
  const due = (t: Ticket) => Date.parse(running(t, stateOf(t))?.due ?? t.due ?? t.opened)
  return all.slice().sort((a, b) => rank(a, stateOf(a)) - rank(b, stateOf(b)) || a.priority - b.priority || due(a) - due(b) || a.id.localeCompare(b.id))
}

/** digits are those of a clock: 04:59, 1:05:09, and of days "3d 04:00". */
export function digits(ms: number): string {
  const s = Math.floor(Math.abs(ms) / 1000)
  const two = (n: number) => String(n).padStart(2, '0')
  const [d, h, m] = [Math.floor(s / 86_400), Math.floor((s % 86_400) / 3600), Math.floor((s % 3600) / 60)]
  return d > 0 ? `${d}d ${two(h)}:${two(m)}` : h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${two(m)}:${two(s % 60)}`
}
