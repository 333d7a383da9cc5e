import type { Plan, Shift, Spell, Watch } from './model'

const hour = 3_600_000

/** A spell within one day of the week that is shown: where it begins and how long it is, in parts of the whole. */
export interface Bar extends Spell {
  left: number
  width: number
  gap: boolean
}

/** barsOf lays the spells of a watch out between two times. */
export function barsOf(w: Watch, from: number, to: number): Bar[] {
  return w.spells.flatMap((s) => {
    const [a, b] = [Math.max(from, Date.parse(s.from)), Math.min(to, Date.parse(s.to))]
    if (b <= a || (s.persons.length === 0 && !s.wanted)) return []
    return [{ ...s, left: (a - from) / (to - from), width: (b - a) / (to - from), gap: s.persons.length === 0 }]
  })
}

/** nowOf is who is on duty at a time, and who comes after. A plan begins at the server's now, which may be a moment ahead of the desk's. */
export function nowOf(w: Watch, at: number): { now: Spell | undefined; next: Spell | undefined } {
  const then = Math.max(at, Date.parse(w.spells[0]?.from ?? '') || at)
  const i = w.spells.findIndex((s) => Date.parse(s.from) <= then && then < Date.parse(s.to))
  return { now: w.spells[i], next: w.spells[i + 1] }
}

/** gapsOf are the spans in which somebody must be on duty and nobody is, of all watches, by time. */
export function gapsOf(p: Plan): { watch: Watch; spell: Spell }[] {
  return p.watches
    .flatMap((watch) => watch.spells.filter((s) => s.wanted && s.persons.length === 0).map((spell) => ({ watch, spell })))
    .sort((a, b) => a.spell.from.localeCompare(b.spell.from))
}

/** A shift as a person fills it in. */
export interface Form {
  whom: string
  person: string
  from: string // of an input of the kind datetime-local
  to: string
  pattern: 'once' | 'daily' | 'turn'
  every: string // hours
  length: string
  hours: string
}

const two = (n: number) => String(n).padStart(2, '0')

/** local is a time as an input of the kind datetime-local has it. */
export function local(at: string | number | undefined): string {
  if (at === undefined || at === '') return ''
  const d = new Date(at)
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}`
}

/** formOf is a shift as it can be changed; without one, a day from the next full hour on. */
export function formOf(s: Partial<Shift>, now: number): Form {
  const turn = !!s.every_ns
  const hours = (ns: number | undefined) => (ns ? String(ns / 1e6 / hour) : '')
  return {
    whom: s.for ?? '', person: s.person ?? '', from: local(s.from ?? Math.ceil(now / hour) * hour), to: local(s.to),
    pattern: turn ? (s.every_ns! / 1e6 === 24 * hour ? 'daily' : 'turn') : 'once', every: turn ? hours(s.every_ns) : '72', length: turn ? hours(s.length_ns) : '8', hours: s.hours ?? '',
  }
}

/** What is missing or wrong in a form; undefined: it may be sent. */
export type Want = 'for' | 'person' | 'from' | 'order' | 'turn'

export function wantOf(f: Form): Want | undefined {
  if (!/^(unit|seat):\S+/.test(f.whom.trim())) return 'for'
  if (!f.person.trim()) return 'person'
  if (!f.from) return 'from'
  if (f.to && f.to <= f.from) return 'order'
  const every = f.pattern === 'daily' ? 24 : Number(f.every)
  return f.pattern !== 'once' && !(Number(f.length) > 0 && Number(f.length) < every) ? 'turn' : undefined
}

/** bodyOf is what the server takes of a form. */
export function bodyOf(f: Form): Record<string, unknown> {
  const turn = f.pattern !== 'once'
  return {
    for: f.whom.trim(), person: f.person.trim(), from: new Date(f.from).toISOString(), to: f.to ? new Date(f.to).toISOString() : undefined, hours: f.hours || undefined,
    every: turn ? `${f.pattern === 'daily' ? 24 : Number(f.every)}h` : undefined, length: turn ? `${Number(f.length)}h` : undefined,
  }
}

/** again is the body that makes a shift anew as it was: undo. */
export function again(s: Shift): Record<string, unknown> {
  const h = (ns: number | undefined) => (ns ? `${ns / 1e9}s` : undefined)
  return { for: s.for, person: s.person, from: s.from, to: s.to, hours: s.hours, every: h(s.every_ns), length: h(s.length_ns) }
}
