// What the server says of figures, and how a person reads it: pure functions of both.
import type { Mode } from '../types'

export interface Period { name: string; from: string; to: string; end: string }
export interface Target { at_least?: number; at_most?: number; days?: number }
export interface Compared { value?: number; numerator: number; denominator?: number; change?: number; relative?: number }
export interface Figure {
  key: string
  zh: string
  en: string
  formula: string
  share: boolean
  value?: number
  numerator: number
  denominator?: number
  note?: string
  target?: Target
  met?: boolean
  previous?: Compared
  year_ago?: Compared
}
export interface Rung { key: string; zh: string; en: string; count: number; p50_s?: number; p90_s?: number; p99_s?: number }
export interface FalseAlarm { by: 'kind' | 'profile'; of: string; figure: Figure }
export interface Group { key?: string; name?: string; figures: Figure[]; ladder: Rung[]; false_alarms?: FalseAlarm[] }
export interface Board { period: Period; previous?: Period; year_ago?: Period; made: string; by?: string; mode: Mode; whole: Group; parts?: Group[] }
export interface Trend { period: Period; step: 'hour' | 'day' | 'week'; points: { from: string; to: string; values: Record<string, number> }[] }
export interface LoadStep { from?: string; hour?: number; alarms: number; per_hour?: number; most: number }
export interface Load {
  period: Period
  step: Trend['step']
  operators: number
  limits: { acceptable: number; manageable: number }
  flood: number
  window_min: number
  alarms: number
  per_hour?: number
  steps: LoadStep[]
  hours: LoadStep[]
  bands: { key: 'acceptable' | 'manageable' | 'over'; hours: number; share?: number }[]
  peaks: { from: string; alarms: number; per_operator: number; flood: boolean }[]
  acks: { priority: number; opened: number; acked: number; p50_s?: number; p90_s?: number; p99_s?: number }[]
}
export interface SensorGroup { kind?: string; profile?: string; installed: number; silent: number; battery_low: number; faulty: number; well: number; silences: number; availability?: number }
export interface SensorHealth { period: Period; whole: SensorGroup; kinds: SensorGroup[]; models: SensorGroup[] }
export interface Model { profile: string; kind?: string; verified: number; false: number; value?: number; target?: Target; met?: boolean; installed: number; per_hundred?: number; previous?: Compared; year_ago?: Compared }
export interface Models { period: Period; items: Model[] }
export interface Hotspot {
  id: string
  what: 'compound' | 'cell'
  place: string
  district?: string
  street?: string
  cell?: string
  listed: string
  delisted?: string
  why: string
  delisted_why?: string
  alarms: number
  share: number
  kinds?: Record<string, number>
  judged: string
  ticket?: string
  supervised: boolean
}
export interface ScopeNode { code: string; kind: string; name?: string; name_en?: string; below?: ScopeNode[] }

export const views = ['board', 'streets', 'hotspots', 'sensors', 'load', 'models', 'contractors'] as const
export type View = (typeof views)[number]
export const periods = ['today', 'yesterday', '7d', '30d', 'month', 'quarter', 'year', 'custom'] as const
export type PeriodName = (typeof periods)[number]
export const compares = ['prev', 'year', 'none'] as const
export type Compare = (typeof compares)[number]

/** What is asked for; it stands in the address. */
export interface Wish {
  view: View
  period: PeriodName
  at?: string // a day in the month, quarter or year
  from?: string // first and last day of a period of one's own
  to?: string
  compare: Compare
  street?: string
  kind?: string
  mode: Mode
}

const day = /^\d{4}-\d{2}-\d{2}$/
const one = <T extends string>(all: readonly T[], said: string | null, otherwise: T): T => all.find((x) => x === said) ?? otherwise

export function wishOf(q: URLSearchParams): Wish {
  const said = (n: string) => q.get(n) || undefined
  const date = (n: string) => (day.test(q.get(n) ?? '') ? q.get(n)! : undefined)
  return {
    view: one(views, q.get('view'), 'board'), period: one(periods, q.get('period'), '30d'), at: date('at'), from: date('from'), to: date('to'),
    compare: one(compares, q.get('compare'), 'prev'), street: said('street'), kind: said('kind'), mode: one(['live', 'test', 'exercise', 'simulated'] as const, q.get('mode'), 'live'),
  }
}

const hour = 3_600_000
const zone = 8 * hour // figures are of the city's days

/** dayOf is the city's day at a moment: 2026-11-22. */
export const dayOf = (at: number) => new Date(at + zone).toISOString().slice(0, 10)
const noon = (d: string) => `${d}T12:00:00+08:00`
const midnight = (d: string, days = 0) => new Date(Date.parse(`${d}T00:00:00+08:00`) + days * 24 * hour).toISOString()

/** ready says whether a wish names a period: one of one's own needs its days. */
export const ready = (w: Wish) => w.period !== 'custom' || (!!w.from && !!w.to && w.from <= w.to)

/** ask is the query that a wish means, at a moment. */
export function ask(w: Wish, now: number, more: Record<string, string | undefined> = {}): string {
  const q: Record<string, string | undefined> = { street: w.street, kind: w.kind, mode: w.mode === 'live' ? undefined : w.mode, compare: w.compare === 'none' ? undefined : 'true' }
  switch (w.period) {
    case 'today': q.period = 'day'; break
    case 'yesterday': Object.assign(q, { period: 'day', at: noon(dayOf(now - 24 * hour)) }); break
    case 'custom': Object.assign(q, { since: midnight(w.from!), until: midnight(w.to!, 1) }); break
    default: Object.assign(q, { period: w.period, at: w.at && noon(w.at) })
  }
  const out = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...q, ...more })) if (value) out.set(name, value)
  const text = out.toString()
  return text && '?' + text
}

/** step is the wish for the period before or after the one that is shown. */
export function step(w: Wish, p: Period, by: -1 | 1): Partial<Record<'period' | 'at' | 'from' | 'to', string>> {
  const to = by < 0 ? dayOf(Date.parse(p.from) - hour) : dayOf(Date.parse(p.to) + hour)
  if (w.period === 'custom') {
    const days = Math.round((Date.parse(p.to) - Date.parse(p.from)) / (24 * hour)) * by
    return { from: dayOf(Date.parse(p.from) + days * 24 * hour), to: dayOf(Date.parse(p.to) + (days - 1) * 24 * hour) }
  }
  if (w.period === 'today' || w.period === 'yesterday') return { period: 'custom', from: to, to }
  if (w.period === '7d' || w.period === '30d') {
    const days = w.period === '7d' ? 7 : 30
    return { at: by < 0 ? to : dayOf(Date.parse(p.to) + (days - 1) * 24 * hour) }
  }
  return { at: to }
}

/** The figures of the board by what they mean to who reads them. */
export const groups = [
  { id: 'flow', keys: ['reported', 'filing', 'dispatch_accuracy', 'merged', 'repeat', 'top_share'] },
  { id: 'time', keys: ['on_time_handling', 'closing', 'on_time_closing', 'overdue', 'overdue_p1', 'forced'] },
  { id: 'quality', keys: ['check_pass', 'rework', 'false_alarm'] },
  { id: 'desk', keys: ['load_hour', 'load_10min', 'flood_share', 'chattering', 'stale', 'priority_high', 'priority_medium', 'priority_low', 'unauthorised_suppression'] },
  { id: 'devices', keys: ['online', 'supervision'] },
] as const

/** What is better: more, or less. What is neither has no direction. */
const less = new Set(['overdue', 'overdue_p1', 'rework', 'repeat', 'top_share', 'false_alarm', 'forced', 'load_10min', 'load_hour', 'flood_share', 'chattering', 'stale', 'unauthorised_suppression'])
const more = new Set(['dispatch_accuracy', 'on_time_handling', 'closing', 'on_time_closing', 'check_pass', 'online', 'supervision'])

export type Turn = 'better' | 'worse' | 'same' | 'neither'

/** turnOf says whether a change of a figure is a good one. */
export function turnOf(f: Pick<Figure, 'key' | 'target'> & Partial<Figure>, change: number | undefined): Turn | undefined {
  if (change === undefined) return undefined
  if (Math.abs(change) < (f.share ? 0.0005 : f.denominator === undefined ? 0.5 : 0.005)) return 'same' // it would be written as 0
  const up = f.target?.at_least !== undefined || more.has(f.key) ? true : f.target?.at_most !== undefined || less.has(f.key) ? false : undefined
  return up === undefined ? 'neither' : change > 0 === up ? 'better' : 'worse'
}

export const comparedWith = (f: { previous?: Compared; year_ago?: Compared }, c: Compare) => (c === 'prev' ? f.previous : c === 'year' ? f.year_ago : undefined)

/** written writes a value: a share in percent, a count whole, else two digits. undefined is not measured, never 0. */
export function written(f: { key?: string; share: boolean; denominator?: number }, v: number | undefined, locale: string): string | undefined {
  if (v === undefined) return undefined
  if (f.share) return new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(v * 100) + ' %'
  return new Intl.NumberFormat(locale, f.denominator === undefined ? { maximumFractionDigits: 0 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(v)
}

/** change writes how far a figure went: points of percent for a share. */
export function changed(f: { share: boolean; denominator?: number }, v: number, locale: string): string {
  const [size, digits, least] = f.share ? [Math.abs(v) * 100, 1, 1] : [Math.abs(v), f.denominator === undefined ? 0 : 2, 0]
  const sign = Math.round(size * 10 ** digits) === 0 ? '±' : v > 0 ? '+' : '−' // what is written as 0 went neither way
  return sign + new Intl.NumberFormat(locale, { minimumFractionDigits: least, maximumFractionDigits: digits }).format(size)
}

/** called names a figure; a name that stands alone begins with a capital. */
export function called(f: { zh: string; en: string }, lang: 'zh' | 'en'): string {
  return lang === 'zh' ? f.zh : f.en.charAt(0).toUpperCase() + f.en.slice(1)
}

/** aim writes a target: ≥ 95 %. */
export function aim(f: { share: boolean; denominator?: number }, target: Target, locale: string): string {
  const v = target.at_least ?? target.at_most!
  const n = f.share ? new Intl.NumberFormat(locale, { maximumFractionDigits: 2 }).format(v * 100) + ' %' : new Intl.NumberFormat(locale).format(v)
  return (target.at_least !== undefined ? '≥ ' : '≤ ') + n
}

/** sorted orders rows by a number; what was not measured is last, whichever way. */
export function sorted<T>(rows: T[], of: (row: T) => number | string | undefined, down: boolean): T[] {
  return rows
    .map((row, i) => ({ row, v: of(row), i }))
    .sort((a, b) => {
      if (a.v === undefined || b.v === undefined) return Number(a.v === undefined) - Number(b.v === undefined) || a.i - b.i
      const by = typeof a.v === 'number' && typeof b.v === 'number' ? a.v - b.v : String(a.v).localeCompare(String(b.v), 'zh')
      return (down ? -by : by) || a.i - b.i
    })
    .map((x) => x.row)
}

/** spark is the path of a small line through values from 0 to 1 across; a gap where nothing was measured. */
export function spark(values: (number | undefined)[], width: number, height: number): string {
  const known = values.filter((v) => v !== undefined)
  if (known.length < 2) return ''
  const [low, high] = [Math.min(...known), Math.max(...known)]
  const x = (i: number) => (values.length < 2 ? 0 : (i / (values.length - 1)) * width)
  const y = (v: number) => (high === low ? height / 2 : height - ((v - low) / (high - low)) * height)
  let path = ''
  let on = false
  values.forEach((v, i) => {
    if (v !== undefined) path += `${on ? 'L' : 'M'}${x(i).toFixed(1)} ${y(v).toFixed(1)}`
    on = v !== undefined
  })
  return path
}

/** rowsBehind is where the rows that a figure is about are listed, as near as lists can say. */
export function rowsBehind(key: string, street?: string): string | undefined {
  const at = (place: string, q: Record<string, string>) => `#/${place}?` + new URLSearchParams({ ...q, ...(street && place === 'tickets' ? { street } : {}) }).toString()
  const ended = (state?: string) => at('tickets', { view: 'list', only: 'ended', ...(state ? { state } : {}) })
  switch (key) {
    case 'reported': case 'filing': case 'dispatch_accuracy': case 'repeat': return at('tickets', { view: 'list' })
    case 'overdue': return at('tickets', { view: 'list', only: 'over' })
    case 'overdue_p1': return at('tickets', { view: 'list', only: 'over', priority: '1' })
    case 'on_time_handling': case 'closing': case 'on_time_closing': case 'check_pass': case 'rework': return ended('closed')
    case 'forced': return ended('forced_close')
    case 'merged': return ended('merged')
    case 'false_alarm': return ended('cancelled')
    case 'top_share': return '#/figures?view=hotspots'
    case 'chattering': case 'stale': return at('alarms', { view: 'health' })
    case 'load_hour': case 'load_10min': case 'flood_share': return '#/figures?view=load'
    case 'priority_high': case 'priority_medium': case 'priority_low': return at('alarms', { view: 'past' })
    case 'unauthorised_suppression': return at('alarms', { view: 'held' })
    case 'online': case 'supervision': return '#/figures?view=sensors'
  }
  return undefined
}

/** streetsOf are the streets of the tree of places, by code. */
export function streetsOf(tree: ScopeNode[]): { code: string; name: string; name_en?: string }[] {
  const out: { code: string; name: string; name_en?: string }[] = []
  const walk = (n: ScopeNode) => {
    if (n.kind === 'street') out.push({ code: n.code, name: n.name ?? n.code, name_en: n.name_en })
    n.below?.forEach(walk)
  }
  tree.forEach(walk)
  return out.sort((a, b) => a.code.localeCompare(b.code))
}

/** A reason of the list of hot-spots, taken apart to be said in any language. */
export interface Reason { key: 'kind' | 'any' | 'first' | 'quiet' | 'other'; values: Record<string, string> }

export function reasonOf(text: string): Reason {
  let m = text.match(/^(\d+) verified alarms of kind (\S+) in (\S+) days$/)
  if (m) return { key: 'kind', values: { n: m[1]!, kind: m[2]!, days: m[3]! } }
  m = text.match(/^among the first (\d+) with (\d+) of the district's (\d+) verified alarms in (\S+) days$/)
  if (m) return { key: 'first', values: { top: m[1]!, n: m[2]!, all: m[3]!, days: m[4]! } }
  m = text.match(/^(\d+) verified alarms in (\S+) days$/)
  if (m) return { key: 'any', values: { n: m[1]!, days: m[2]! } }
  return { key: 'other', values: { text } }
}

/** seconds words a time in its nearest unit. */
export function inUnit(s: number): { n: number; unit: 's' | 'min' | 'h' } {
  if (s < 100) return { n: Math.round(s * 10) / 10, unit: 's' }
  if (s < 6_000) return { n: Math.round(s / 6) / 10, unit: 'min' }
  return { n: Math.round(s / 360) / 10, unit: 'h' }
}

/** shares are parts of a whole in percent of one digit that add up to 100. */
export const part = (n: number, of: number) => (of > 0 ? n / of : undefined)
