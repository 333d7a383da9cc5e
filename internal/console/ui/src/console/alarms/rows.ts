import { isSmoke } from '../book'
import type { Alarm, AlarmState, Entry, Herd, Priority } from '../types'

/** A member of a group, as far as the group names it. */
export type Member = Herd['members'][number]

/** One line on the screen. with: it stands under the line before it, of the same incident or group. */
export type Row =
  | { key: string; kind: 'alarm'; alarm: Alarm; state: AlarmState; under: boolean; head: boolean }
  | { key: string; kind: 'group'; group: Herd; state: AlarmState; open: boolean }
  | { key: string; kind: 'member'; member: Member; group: Herd }
  | { key: string; kind: 'rest'; group: Herd; left: number }

/** What a person asks of the queue. */
export interface Wish {
  priority?: Priority
  state?: 'UNACK' | 'ACK'
  cell?: string
  text?: string
}

export const groupKey = (g: Herd) => `g:${g.mode}/${g.cell ?? ''}/${g.building ?? ''}/${g.cause}`

/**
 * rowsOf makes the lines of the queue: in the server's order, the members of one incident
 * behind its first, groups opened if they are in open.
 *
 * Nothing moves up past unacknowledged smoke of somewhere else: only what is as urgent as
 * the line that it would pass follows its incident, so that no first smoke alarm goes down.
 */
export function rowsOf(entries: Entry[], open: ReadonlySet<string>): Row[] {
  const out: Row[] = []
  for (const family of families(entries)) {
    for (const [i, e] of family.entries()) {
      if (e.alarm) {
        out.push({ key: e.alarm.id, kind: 'alarm', alarm: e.alarm, state: e.state, under: i > 0, head: i === 0 && family.length > 1 })
        continue
      }
      const g = e.group!
      const key = groupKey(g)
      const isOpen = open.has(key)
      out.push({ key, kind: 'group', group: g, state: e.state, open: isOpen })
      if (!isOpen) continue
      for (const m of g.members) out.push({ key: m.id, kind: 'member', member: m, group: g })
      if (g.count > g.members.length) out.push({ key: key + '/rest', kind: 'rest', group: g, left: g.count - g.members.length })
    }
  }
  return out
}

const urgent = (e: Entry) => e.state === 'UNACK' && !!e.alarm && isSmoke(e.alarm.type) && e.alarm.priority === 1

function families(entries: Entry[]): Entry[][] {
  const out: Entry[][] = []
  const of = new Map<string, Entry[]>()
  for (const e of entries) {
    const id = e.alarm?.incident && `${e.alarm.mode}/${e.alarm.incident}`
    const there = id ? of.get(id) : undefined
    const passed = there ? out.slice(out.indexOf(there) + 1) : []
    if (there && (urgent(e) || !passed.some((f) => f.some(urgent)))) {
      there.push(e)
      continue
    }
    const mine = [e]
    out.push(mine)
    if (id) of.set(id, mine)
  }
  return out
}

/** fits says whether an entry is what was asked for. words gives what a person may look it up by. */
export function fits(e: Entry, w: Wish, words: (e: Entry) => string): boolean {
  const priority = e.alarm?.priority ?? e.group!.worst
  const unacked = e.alarm ? !e.alarm.acked : e.group!.unacked > 0
  if (w.priority && priority !== w.priority) return false
  if (w.state === 'UNACK' && !unacked) return false
  if (w.state === 'ACK' && unacked) return false
  if (w.cell && (e.alarm?.cell ?? e.group?.cell) !== w.cell) return false
  return !w.text || words(e).toLowerCase().includes(w.text.toLowerCase())
}

/** What an alarm was when it was shown: enough to acknowledge it. */
export interface Seen {
  id: string
  revision: number
}

/** unseen are the alarms of these lines that nobody has acknowledged, each as it is shown. */
export function unseen(rows: Row[]): Seen[] {
  const out = new Map<string, Seen>()
  for (const r of rows) {
    if (r.kind === 'alarm' && !r.alarm.acked) out.set(r.alarm.id, { id: r.alarm.id, revision: r.alarm.revision })
    else if (r.kind === 'member' && isUnseen(r.member)) out.set(r.member.id, { id: r.member.id, revision: r.member.revision })
    else if (r.kind === 'group') for (const m of r.group.members) if (isUnseen(m)) out.set(m.id, { id: m.id, revision: m.revision })
  }
  return [...out.values()]
}

const isUnseen = (m: Member) => m.state === 'UNACK' || m.state === 'LATCHED_RTN' || m.state === 'RTN_UNACK'

/** Why an alarm may not be shelved or taken out of service; undefined: it may. */
export type Bar = 'no.wall' | 'no.point' | 'no.shelve.smoke' | 'no.shelve.p1' | 'no.out.smoke' | 'no.acked'
type What = { type: string; point?: string; priority: Priority }
type Who = { role: string; wall: boolean } | undefined

export function barShelve(a: What, who: Who): Bar | undefined {
  if (!who || who.wall) return 'no.wall'
  if (!a.point) return 'no.point'
  if (isSmoke(a.type)) return 'no.shelve.smoke'
  return a.priority === 1 ? 'no.shelve.p1' : undefined
}

export function barOut(a: What, who: Who): Bar | undefined {
  if (!who || who.wall) return 'no.wall'
  if (!a.point) return 'no.point'
  return isSmoke(a.type) && who.role !== 'supervisor' ? 'no.out.smoke' : undefined
}
