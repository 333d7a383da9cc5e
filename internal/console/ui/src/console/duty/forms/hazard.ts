import type { Scope } from '../../types'
import type { HazardKind, HazardStep } from './report'

export interface HazardAnswer {
  question: string
  answer: string
  note?: string
  by?: { name: string }
  at?: string
}

export interface Hazard extends Scope {
  id: string
  kind: string
  level: 'general' | 'major'
  mode: string
  cell?: string
  point?: string
  place: string
  source: string
  external?: string
  text?: string
  found: string
  answers?: HazardAnswer[]
  before?: string[]
  after?: string[]
  unit?: string
  deadline: string
  since: string
  extensions?: { from: string; to: string; reason: string; by: { name: string }; at: string }[]
  state: string
  overdue?: boolean
  checker?: string
  rechecks?: { pass: boolean; person: string; reason?: string; photos?: string[]; by: { name: string }; at: string }[]
  repeat_of?: string
  episodes?: string[]
  ticket: string
  ended?: string
  outcome?: string
}

export const states = ['found', 'notified', 'rectifying', 'rectified', 'rechecking', 'closed'] as const

export type Want = 'unit' | 'person' | 'reason' | 'until' | 'photo' | 'shown' | 'answers' | 'all' | 'safe'

/** What each move wants beside the check-list's answers and photos, which go along with any. The server decides; this only asks in time. */
const wants: Record<string, Want[]> = {
  inspect: ['answers'], photo: ['photo'], notify: ['unit'], start: ['person'], rectify: ['person', 'shown'], recheck: ['person'],
  pass: ['person', 'shown', 'all', 'safe'], fail: ['person', 'reason'], extend: ['reason', 'until'], dismiss: ['person', 'reason'],
}

export const most = 2 // extensions of a deadline

export interface Offer {
  verb: string
  bar?: 'bar.supervisor' | 'bar.often'
}

/** offers are the moves that fit the state, by the server's own table; those that this role may not make say so. */
export function offers(h: Hazard, steps: HazardStep[], role: string): Offer[] {
  return steps
    .filter((s) => s.from.includes(h.state))
    .map((s) => ({
      verb: s.verb,
      bar: !s.who.includes(role) ? 'bar.supervisor' : s.verb === 'extend' && (h.extensions?.length ?? 0) >= most ? 'bar.often' : undefined,
    }))
}

export interface Said {
  unit?: string
  person?: string
  reason?: string
  until?: string // of a datetime-local field
  answers: Record<string, string>
  before: number // photos that go along
  after: number
}

export const wantsOf = (verb: string): Want[] => wants[verb] ?? []

/** answersOf are the answers to the check-list as they will stand after the move. */
export function answersOf(h: Hazard, said: Record<string, string>): Record<string, string> {
  return { ...Object.fromEntries((h.answers ?? []).map((a) => [a.question, a.answer])), ...said }
}

/** missing names what a move still wants. */
export function missing(verb: string, h: Hazard, kind: HazardKind | undefined, s: Said): Want[] {
  const all = answersOf(h, s.answers)
  const empty = (v: string | undefined) => !v?.trim()
  return wantsOf(verb).filter((w) => {
    switch (w) {
      case 'unit': return empty(s.unit)
      case 'person': return empty(s.person)
      case 'reason': return empty(s.reason)
      case 'until': return !(Date.parse(s.until ?? '') > Date.parse(h.deadline))
      case 'photo': return s.before + s.after === 0
      case 'shown': return empty(s.reason) && s.after === 0
      case 'answers': return Object.keys(s.answers).length === 0
      case 'all': return !!kind?.questions.some((q) => !all[q.id])
      case 'safe': return !!kind?.questions.some((q) => all[q.id] === q.danger)
    }
  })
}
