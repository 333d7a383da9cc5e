import type { Priority } from '../../types'

// What is written down while somebody reports: pure, so that it can be tested without a page.

export interface Reportable {
  type: string
  kind: string
  priority: Priority
  lowest: Priority
  title_zh: string
  title_en: string
}

export interface Question {
  id: string
  zh: string
  en: string
  danger: 'yes' | 'no'
}

export interface HazardKind {
  kind: string
  title_zh: string
  title_en: string
  level: 'general' | 'major'
  priority: Priority
  questions: Question[]
}

export interface HazardStep {
  verb: string
  who: string[]
  from: string[]
  to?: string
}

export interface Reportables {
  sources: string[]
  events: Reportable[]
  hazards: HazardKind[]
  hazard_steps: HazardStep[]
}

/** An open ticket that may be about the same. */
export interface Suggestion {
  ticket: string
  type: string
  place: string
  opened: string
  score: number
  reason: string
  why: 'point' | 'other_event' | 'building' | 'distance' | 'cell'
  metres?: number
}

/** Where it is: what was chosen, and how that is called. */
export interface Where {
  text: string // as it stands in the field
  point?: string
  building?: string
  cell?: string
  lon?: number
  lat?: number
  mode?: string // of the point
}

export interface Draft {
  begun: string // when the call was taken: with it the number that the desk gives
  source: string
  external: string
  what: string // an event's type, or hazard.<kind>
  priority?: Priority // another than the rules give
  where: Where
  text: string
  answers: Record<string, string>
}

export function emptyDraft(now: Date, source = 'hotline'): Draft {
  return { begun: now.toISOString(), source, external: '', what: '', where: { text: '' }, text: '', answers: {} }
}

/** untouched: nothing was written yet, so nothing is lost with it. */
export function untouched(d: Draft): boolean {
  return !d.external.trim() && !d.what && !d.where.text.trim() && d.where.lon === undefined && !d.text.trim()
}

/** numberOf is the other system's number, or where it gave none one of the desk: the same for the same draft, so that it is filed once. */
export function numberOf(d: Draft): string {
  return d.external.trim() || 'desk-' + d.begun.replace(/[-:]/g, '').replace('.', '-').replace('Z', '')
}

const form = /^[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}$/

export type Lack = 'what' | 'where' | 'external'

/** missing names what is still wanted before it can be filed. */
export function missing(d: Draft): Lack[] {
  const out: Lack[] = []
  if (d.external.trim() && !form.test(d.external.trim())) out.push('external')
  if (!d.what) out.push('what')
  if (!placed(d.where)) out.push('where')
  return out
}

/** placed: it is said where, in words or otherwise. */
export function placed(w: Where): boolean {
  return !!(w.point || w.building || w.cell || w.lon !== undefined || w.text.trim())
}

/** placeOf is where as the server takes it. Words stand beside what was chosen only where they are the person's own. */
export function placeOf(w: Where): Record<string, unknown> {
  return {
    point: w.point, building: w.building, cell: w.point ? undefined : w.cell, place: w.point ? undefined : w.text.trim() || undefined,
    position: !w.point && w.lon !== undefined && w.lat !== undefined ? { lon: w.lon, lat: w.lat, crs: 'WGS84' } : undefined,
  }
}

export const hazardOf = (what: string): string | undefined => (what.startsWith('hazard.') ? what.slice(7) : undefined)

/** bodyOf is the report as the server takes it. */
export function bodyOf(d: Draft, into?: string): Record<string, unknown> {
  const kind = hazardOf(d.what)
  return {
    ...(kind ? { kind, answers: Object.entries(d.answers).map(([question, answer]) => ({ question, answer })) } : { type: d.what, into }),
    source: d.source, external: numberOf(d), priority: d.priority && !kind ? 'P' + d.priority : undefined, ...placeOf(d.where), text: d.text.trim() || undefined,
  }
}

/** By what a person could be reached or known: the server keeps *** in its place (internal/alarm/filing.go). */
const reachable = /[0-9A-Za-z._%+-]+@[0-9A-Za-z.-]+\.[A-Za-z]{2,}|(?:\+?86[- ]?)?\b1[3-9][0-9](?:[- ]?[0-9]{4}){2}\b|\b0[0-9]{2,3}[- ][0-9]{7,8}\b|\b[1-9][0-9]{16}[0-9Xx]\b/g

/** masked are the parts of a text that will not be kept. */
export function masked(text: string): string[] {
  return text.match(reachable) ?? []
}

const key = 'gridgate.report'

/** kept is the draft that was left, if any. It ends with the tab: what people say is not left on a computer. */
export function kept(): Draft | undefined {
  try {
    const d = JSON.parse(sessionStorage.getItem(key) ?? 'null') as Draft | null
    return d && typeof d.begun === 'string' && d.where ? d : undefined
  } catch {
    return undefined
  }
}

export function keep(d: Draft | undefined): void {
  try {
    if (d && !untouched(d)) sessionStorage.setItem(key, JSON.stringify(d))
    else sessionStorage.removeItem(key)
  } catch {
    // storage is switched off: the draft lives as long as its drawer
  }
}
