import type { Assignment, Ticket, TicketClock } from '../types'

/** The seven stages of the loop: 信息采集 立案 派遣 处理 反馈 核查 结案. */
export const stages = ['collect', 'file', 'dispatch', 'handle', 'feedback', 'check', 'close'] as const
export type Stage = (typeof stages)[number]

const stage: Record<string, Stage> = {
  reported: 'collect', verifying: 'collect', filed: 'file', dispatched: 'dispatch', returned: 'dispatch', accepted: 'handle', in_progress: 'handle',
  suspended: 'handle', rework: 'handle', resolved: 'feedback', checking: 'check', closed: 'close', not_filed: 'close', merged: 'close', cancelled: 'close', forced_close: 'close',
}

export const states = Object.keys(stage)

/** stageOf is where a state stands in the loop; a state that is not known is at its beginning. */
export const stageOf = (state: string): Stage => stage[state] ?? 'collect'

/** running are the clocks that count, the nearest first. The total one is last: it is the frame of the others. */
export function running(t: Ticket): TicketClock[] {
  return (t.clocks ?? [])
    .filter((c) => !c.stopped)
    .sort((a, b) => Number(a.name === 'total') - Number(b.name === 'total') || Date.parse(a.due) - Date.parse(b.due))
}

/** next is the clock that a ticket is judged by now. */
export const next = (t: Ticket): TicketClock | undefined => running(t)[0]

/** isOver says whether a limit of a ticket has passed. */
export const isOver = (t: Ticket, now: number): boolean => !!t.overdue || running(t).some((c) => Date.parse(c.due) <= now)

/** What a person must do at the desk for it, and has not done. */
export interface Task {
  n: number
  kind: 'call' | 'assign' | 'word' | 'decide'
  text: string
  code?: string // of the text, with what its words name
  facts?: Record<string, string>
  unit?: string
  number?: string
  script?: string
  contact?: string
  opened: string
  done?: string
  by?: { name: string; role: string }
  note?: string
}

/** partsOf are the units' parts of a ticket; one that no unit has yet has none. */
export const partsOf = (t: Ticket): Assignment[] => t.assignments ?? []

export const tasksOf = (t: Ticket): Task[] => (t.tasks ?? []) as unknown as Task[]
export const toDo = (t: Ticket): Task[] => tasksOf(t).filter((k) => !k.done)

/** byNeed orders tickets: what is over its limit, then by priority, then by the nearest limit. */
export function byNeed(now: number): (a: Ticket, b: Ticket) => number {
  const due = (t: Ticket) => Date.parse(next(t)?.due ?? '') || Infinity
  return (a, b) =>
    Number(a.mode !== 'live') - Number(b.mode !== 'live') || a.priority - b.priority || Number(isOver(b, now)) - Number(isOver(a, now)) || due(a) - due(b) || (a.id < b.id ? -1 : 1)
}

/** What a person asks of the list; it stands in the address. */
export interface Wish {
  priority?: string
  stage?: string
  state?: string
  mode?: string
  type?: string
  unit?: string
  street?: string
  only?: string // over, tasks, returned
  text?: string
}

export const wishNames = ['priority', 'stage', 'state', 'mode', 'type', 'unit', 'street', 'only', 'text'] as const

export function wishOf(q: URLSearchParams): Wish {
  return Object.fromEntries(wishNames.flatMap((n) => (q.get(n) ? [[n, q.get(n)!]] : [])))
}

/** fits says whether a ticket is what was asked for. */
export function fits(t: Ticket, w: Wish, now: number): boolean {
  if (w.priority && String(t.priority) !== w.priority) return false
  if (w.stage && stageOf(t.state) !== w.stage) return false
  if (w.state && t.state !== w.state) return false
  if (w.mode && t.mode !== w.mode) return false
  if (w.type && t.type !== w.type) return false
  if (w.unit && !partsOf(t).some((a) => a.unit === w.unit && !a.stand_down)) return false
  if (w.street && t.street !== w.street) return false
  if (w.only === 'over' && !isOver(t, now)) return false
  if (w.only === 'tasks' && toDo(t).length === 0) return false
  if (w.only === 'returned' && t.state !== 'returned' && t.returns === 0) return false
  if (!w.text) return true
  const words = [t.id, t.case, t.title, t.place, t.type, t.point, ...partsOf(t).map((a) => a.unit)].join(' ').toLowerCase()
  return w.text.toLowerCase().split(/\s+/).every((part) => words.includes(part))
}

/** nameOf is the title in one language: the server's are "烟感报警 / Smoke alarm". */
export function nameOf(title: string, lang: 'zh' | 'en'): string {
  const [zh, en] = title.split(' / ', 2)
  return (lang === 'zh' ? zh : (en ?? zh)) || title
}
