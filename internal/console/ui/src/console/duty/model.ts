// What the server says of the desk. See docs/duty.md.
import type { Actor, Mode, Priority, Scope } from '../types'

export interface Seat extends Scope {
  id: string
  name: { zh: string; en: string } // not in the stream
  person?: string
  role?: string
  session?: string // the answer to a sign-on alone
  sound: boolean
  stream: boolean
  on?: string
  beat?: string
  left?: string
  watching: boolean
  why?: string
  mode: Mode
  beat_s: number
  silent_s: number
}

export interface Line {
  kind: string
  id?: string
  priority?: Priority
  type?: string
  what: string
  place?: string
  state?: string
  who?: string
  since?: string
  until?: string
  mode: Mode
}

export interface Section {
  key: string
  title: { zh: string; en: string }
  count: number
  lines: Line[]
}

export interface Sign {
  by: Actor
  at: string
  note?: string
}

export interface Handover {
  id: string
  why: string
  shift?: string
  next?: string
  from?: string
  made: string
  by: Actor
  posture: string
  sections: Section[]
  digest: string
  outgoing?: Sign
  incoming?: Sign
  mode: Mode
}

export interface Roster {
  id: string
  for: string
  hours?: string
  fallback?: string
  ended?: string
}

export interface Shift {
  id: string
  for: string
  person: string
  from: string
  to?: string
  hours?: string
  every_ns?: number
  length_ns?: number
  ended?: string
}

export interface Spell {
  from: string
  to: string
  persons: string[]
  wanted?: boolean
}

export interface Watch {
  for: string
  roster?: string
  hours?: string
  fallback?: string
  spells: Spell[]
}

export interface Turn {
  name: string
  from: string
  to: string
}

export interface Plan {
  from: string
  to: string
  zone: string
  calendars: string[]
  shift?: Turn
  next?: Turn
  watches: Watch[]
}

export interface Nights {
  next: string
  keep: number
  nights: { day: string; made: string; sheets: { street?: string; bytes: number }[] }[]
  streets: { code?: string; name?: string }[]
}
