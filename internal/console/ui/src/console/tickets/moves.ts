import type { Assignment, Ticket } from '../types'

/**
 * What a person at the desk may do with a ticket, and what each move wants. The server's
 * table decides (internal/ticket/table.go); this one only offers what it would take, and
 * moves.test.ts holds the two together.
 */
export type Verb =
  | 'verify' | 'assign' | 'accept' | 'arrive' | 'resolve' | 'return' | 'suspend' | 'resume' | 'confirm' | 'cancel' | 'merge' | 'split' | 'force_close' | 'note'

export type Field = 'finding' | 'unit' | 'into' | 'alarm' | 'until' | 'present' | 'source' | 'reason' | 'evidence'
export type Role = 'operator' | 'supervisor'

interface Line {
  verb: Verb
  of: 'ticket' | 'part' // whose state counts
  from: string[]
  needs: Field[]
  may?: Field[] // asked, and left out without harm
  danger?: boolean
}

const filed = ['filed', 'dispatched', 'accepted', 'in_progress', 'suspended', 'returned', 'resolved', 'checking', 'rework']
const open = ['reported', 'verifying', ...filed]

export const table: Line[] = [
  { verb: 'verify', of: 'ticket', from: open, needs: ['finding'], may: ['present', 'reason'] },
  { verb: 'assign', of: 'ticket', from: filed.filter((s) => s !== 'rework'), needs: ['unit'], may: ['reason'] },
  { verb: 'accept', of: 'part', from: ['dispatched'], needs: ['source'], may: ['reason'] },
  { verb: 'return', of: 'part', from: ['dispatched'], needs: ['source', 'reason', 'unit'] },
  { verb: 'arrive', of: 'part', from: ['accepted'], needs: ['source'], may: ['reason'] },
  { verb: 'resolve', of: 'part', from: ['in_progress'], needs: ['source'], may: ['reason', 'evidence'] },
  { verb: 'suspend', of: 'part', from: ['in_progress'], needs: ['until', 'reason'] },
  { verb: 'resume', of: 'part', from: ['suspended'], needs: [], may: ['reason'] },
  { verb: 'confirm', of: 'ticket', from: ['resolved', 'checking'], needs: ['present', 'reason'], may: ['evidence'] },
  { verb: 'note', of: 'ticket', from: open, needs: ['reason'], may: ['evidence'] },
  { verb: 'merge', of: 'ticket', from: open, needs: ['into', 'reason'] },
  { verb: 'split', of: 'ticket', from: open, needs: ['alarm', 'reason'] },
  { verb: 'cancel', of: 'ticket', from: open, needs: ['present', 'reason'], danger: true },
  { verb: 'force_close', of: 'ticket', from: open, needs: ['reason'], danger: true },
]

/** Why a move that fits the state cannot be made; a key of the texts. */
export type Bar = 'bar.p1' | 'bar.lead' | 'bar.supervisor' | 'bar.second' | 'bar.alone' | 'bar.wall'

export interface Offer {
  verb: Verb
  part?: Assignment
  needs: Field[]
  may: Field[]
  danger: boolean
  bar?: Bar
  agrees?: boolean // of force_close: another supervisor has asked
}

export interface Who {
  name: string
  role: Role
  wall: boolean
}

const agreeWithin = 30 * 60_000

/** asked is the move that waits for a second person, while it still does. */
export function asked(t: Ticket, now: number): { verb: string; by: { name: string }; at: string; reason: string } | undefined {
  const a = t.asked as { verb: string; by: { name: string }; at: string; reason: string } | undefined
  return a && now - Date.parse(a.at) <= agreeWithin ? a : undefined
}

/** offers are the moves that a person may make now; those that are barred say why. */
export function offers(t: Ticket, who: Who, now: number): Offer[] {
  const out: Offer[] = []
  for (const l of table) {
    const base = { verb: l.verb, needs: l.needs, may: l.may ?? [], danger: !!l.danger }
    if (l.of === 'ticket') {
      if (l.from.includes(t.state)) out.push({ ...base, bar: who.wall ? 'bar.wall' : barOf(l.verb, t, who, now), agrees: l.verb === 'force_close' && !!asked(t, now) })
      continue
    }
    for (const part of t.assignments ?? []) {
      if (part.stand_down || !l.from.includes(part.state)) continue
      const bar = l.verb === 'suspend' ? (t.priority === 1 ? 'bar.p1' : part.lead ? undefined : 'bar.lead') : undefined
      out.push({ ...base, part, bar: who.wall ? 'bar.wall' : bar })
    }
  }
  return out
}

function barOf(verb: Verb, t: Ticket, who: Who, now: number): Bar | undefined {
  if (verb === 'assign' && ['filed', 'returned'].includes(t.state) && t.returns >= 2 && who.role !== 'supervisor') return 'bar.supervisor'
  if (verb === 'split' && !(t.members ?? []).some((m) => m.alarm !== t.alarm)) return 'bar.alone'
  if (verb !== 'force_close') return undefined
  if (who.role !== 'supervisor') return 'bar.supervisor'
  return asked(t, now)?.by.name === who.name ? 'bar.second' : undefined
}

/** What a person has filled in. */
export interface Said {
  finding?: string
  unit?: string
  into?: string
  alarm?: string
  until?: string // of a datetime-local field
  onSite?: boolean
  source?: string
  reason?: string
  evidence?: string
}

/** missing names the fields that a move still wants. */
export function missing(o: Pick<Offer, 'verb' | 'needs'>, s: Said, now: number): Field[] {
  const empty = (v: string | undefined) => !v?.trim()
  return o.needs.filter((f) => {
    if (f === 'present') return !s.onSite && empty(s.source)
    if (f === 'until') return !(Date.parse(s.until ?? '') > now)
    if (f === 'reason' && o.verb === 'confirm') return empty(s.reason) && empty(s.evidence)
    return empty(s[f])
  })
}

/** bodyOf is the move as the server takes it. */
export function bodyOf(o: Pick<Offer, 'verb' | 'part'>, s: Said): Record<string, unknown> {
  const text = (v: string | undefined) => v?.trim() || undefined
  return {
    verb: o.verb, assignment: o.part?.id, attempt: o.part?.attempt, finding: text(s.finding), unit: text(s.unit), into: text(s.into), alarm: text(s.alarm),
    until: s.until ? new Date(s.until).toISOString() : undefined, on_site: s.onSite || undefined, source: text(s.source), reason: text(s.reason), evidence: text(s.evidence),
  }
}
