import type { Alarm, Cover, Window } from '../../types'

/** How far a window is. */
export type When = 'coming' | 'running' | 'ended'

export function whenOf(w: Pick<Window, 'from' | 'to' | 'ended'>, now: number): When {
  if (w.ended) return 'ended'
  if (Date.parse(w.from) > now) return 'coming'
  return Date.parse(w.to) <= now ? 'ended' : 'running'
}

/** ordered: running first by what ends soonest, then what comes soonest, then what has ended, the newest first. */
export function ordered<T extends Pick<Window, 'from' | 'to' | 'ended'>>(all: T[], now: number): T[] {
  const rank = { running: 0, coming: 1, ended: 2 }
  const at = (w: T) => ({ running: Date.parse(w.to), coming: Date.parse(w.from), ended: -Date.parse(w.ended ?? w.to) })[whenOf(w, now)]
  return [...all].sort((a, b) => rank[whenOf(a, now)] - rank[whenOf(b, now)] || at(a) - at(b))
}

export type Family = 'permits' | 'windows' | 'exercises'

/** familyOf says in which of the three places a window stands. */
export function familyOf(kind: string): Family {
  return kind === 'permit' ? 'permits' : kind === 'exercise' ? 'exercises' : 'windows'
}

/** What a window asks about an alarm, as far as it is known. */
export interface Asked {
  alarm: Alarm
  cover: Cover
}

/** questions are the alarms that wait for an answer, the most urgent first. */
export function questions(all: Alarm[], family?: Family): Asked[] {
  return all
    .flatMap((a) => (a.cover?.state === 'asked' && (!family || familyOf(a.cover.kind) === family) ? [{ alarm: a, cover: a.cover }] : []))
    .sort((a, b) => Date.parse(a.cover.due ?? a.alarm.raised) - Date.parse(b.cover.due ?? b.alarm.raised))
}

/** mayYes: a desk can say yes on somebody's word, but not in place of a technician whose session alone may. */
export const mayYes = (kind: string): boolean => kind === 'permit' || kind === 'out_of_service'

export interface NewWindow {
  kind: string
  points: string[]
  types: string[]
  from: string // of a datetime-local field; "" is now
  hours: number
  reason: string
  holder: string
  patrol: string
  lead: string
  script: { point: string; type: string }[]
}

export type Lack = 'points' | 'types' | 'reason' | 'holder' | 'patrol' | 'lead' | 'script' | 'from'

/** missing names what a window of its kind still wants, smoke among its points or not. */
export function missing(n: NewWindow, smoke: boolean, now: number): Lack[] {
  const out: Lack[] = []
  if (n.points.length === 0) out.push('points')
  if (n.kind === 'shelved' && n.types.length === 0) out.push('types')
  if (n.kind === 'permit' && !n.holder.trim()) out.push('holder')
  if (n.kind === 'exercise' && !n.lead.trim()) out.push('lead')
  if (n.kind === 'exercise' && n.script.length === 0) out.push('script')
  if (n.kind === 'out_of_service' && smoke && !n.patrol.trim()) out.push('patrol')
  if (n.kind !== 'exercise' && !n.reason.trim()) out.push('reason')
  if (n.from && !(Date.parse(n.from) > now - 60_000)) out.push('from')
  return out
}

/** bodyOf is the window as the server takes it. */
export function bodyOf(n: NewWindow): Record<string, unknown> {
  const text = (v: string) => v.trim() || undefined
  const is = (...kinds: string[]) => kinds.includes(n.kind)
  return {
    kind: n.kind, points: n.points, types: is('shelved') ? n.types : undefined, from: n.from ? new Date(n.from).toISOString() : undefined, for: n.hours + 'h',
    reason: text(n.reason), holder: is('permit') ? text(n.holder) : undefined, patrol: is('out_of_service') ? text(n.patrol) : undefined,
    lead: is('exercise') ? text(n.lead) : undefined, script: is('exercise') ? n.script : undefined,
  }
}

/** How long a window of a kind may be, in hours, for the choice of lengths. */
export function lengths(kind: string, smoke: boolean): number[] {
  if (kind === 'exercise') return [1, 2, 4, 8, 12]
  if (kind === 'maintenance') return [1, 2, 4, 8, 24]
  if (kind === 'out_of_service' && smoke) return [1, 4, 8, 24]
  return [1, 2, 4, 8, 24, 72, 168]
}
