// A visit as this phone sees it: what the server last said, and on top of it what was done here
// and has not arrived yet. One rule stands over all: nothing that is only here is ever a pass.
import type { Act } from '../../lib/phone/act'
import type { Both } from '../i18n'
import type { Plan, Step, StepState, Visit } from '../model'

export interface Head {
  id: string
  device: string
  point: string
  kind: string
  started: string
  link?: string
}

/** A visit that the server does not know yet, from its plan. */
export function fromPlan(plan: Plan | undefined, head: Head): Visit {
  const steps: Step[] = (plan?.steps ?? []).map((s) => ({ ...s, state: 'waiting', wait_s: waitOf(s, head.link) }))
  return { ...head, state: 'open', offline: true, steps, reasons: [] }
}

/** How long a step may take over this link; while it is not known, the longest there is. */
export function waitOf(s: { wait_s?: Record<string, number> }, link = ''): number {
  if (!s.wait_s) return 0
  return s.wait_s[link] ?? s.wait_s.default ?? Math.max(0, ...Object.values(s.wait_s))
}

const links: Record<string, string> = { eui: 'lorawan', imei: 'nb_iot', z2m: 'zigbee', modbus: 'serial', gb26875: 'serial' }

/** The likely link of a device, by the kind of its identity: until the server has heard it. */
export const linkOf = (identity: string): string | undefined => links[identity.split(':')[0] ?? '']

interface StepBody {
  step?: string
  result?: StepState
  at?: string
  note?: string
}

/** What waits in the queue for this visit, laid over it in the order of doing. */
export function overlay(visit: Visit, acts: Act[]): Visit {
  const out: Visit = { ...visit, steps: visit.steps.map((s) => ({ ...s })) }
  for (const a of acts) {
    if (a.about?.visit !== visit.id || a.state === 'done') continue
    const body = (a.body ?? {}) as StepBody & { verdict?: string; reasons?: (string | Both)[]; needs_gateway?: boolean; by?: { name?: string } }
    if (a.kind === 'visit.step') {
      const step = out.steps.find((s) => s.id === body.step)
      if (!step || !body.result) continue
      // Only the device proves a device's step: a person's "passed" is kept as word.
      if (step.needs === 'device' && body.result === 'passed') Object.assign(step, { said: body.result, local: true })
      else Object.assign(step, { state: body.result, at: body.at ?? a.at, note: body.note, local: true })
    }
    if (a.kind === 'visit.finish' && a.state !== 'refused') {
      out.state = body.verdict === 'fail' ? 'failed' : 'pending'
      out.signed = { by: body.by, at: a.at }
      out.needs_gateway = body.needs_gateway ?? out.needs_gateway
      if (body.reasons) out.reasons = body.reasons.map((r) => (typeof r === 'string' ? { zh: r, en: r } : r))
    }
  }
  return out
}

/** Whether anything of a visit is still on this phone only. */
export function waitsHere(id: string, acts: Act[]): boolean {
  return acts.some((a) => a.about?.visit === id && a.state !== 'done')
}

export type Verdict = 'open' | 'ready' | 'stuck' | 'pending' | 'passed' | 'failed'

/**
 * The one word of a visit. `ready`: all that a person can do is done. `stuck`: a step has failed.
 * `passed` is only ever the server's word, and not while something waits on this phone.
 */
export function verdict(visit: Visit, local: boolean): Verdict {
  if (visit.state === 'failed') return 'failed'
  if (visit.state === 'passed') return local ? 'pending' : 'passed'
  if (visit.state === 'pending') return 'pending'
  if (visit.steps.some((s) => s.state === 'failed')) return 'stuck'
  const left = visit.steps.filter((s) => s.state === 'waiting')
  return left.length === 0 || (visit.offline && !left.some(toDo)) ? 'ready' : 'open'
}

const acted = new Set(['on', 'off', 'moment', 'rest', 'person', 'position', 'photo'])

/** Whether a person has something to do for a step that waits. The device's own word takes its time. */
export function toDo(s: Step): boolean {
  return s.state === 'waiting' && !s.said && (s.needs !== 'device' || acted.has(s.check ?? ''))
}

/** The step to do now: what waits first; offline, what a person can do. */
export function current(visit: Visit): Step | undefined {
  const left = visit.steps.filter((s) => s.state === 'waiting')
  return visit.offline ? left.find(toDo) : (left.find((s) => !s.said) ?? left[0])
}

export type Bars = 0 | 1 | 2 | 3 | 4

/** Signal as bars; the limits are those of the radio, LoRa hears far below what NB-IoT does. */
export function bars(signal: { rssi_dbm?: number; snr_db?: number }): Bars {
  const { rssi_dbm: rssi, snr_db: snr } = signal
  if (rssi === undefined && snr === undefined) return 0
  const byRssi = rssi === undefined ? 4 : rssi > -85 ? 4 : rssi > -100 ? 3 : rssi > -112 ? 2 : 1
  const bySnr = snr === undefined ? 4 : snr > 5 ? 4 : snr > 0 ? 3 : snr > -10 ? 2 : 1
  return Math.min(byRssi, bySnr) as Bars
}

const goesOn = 4 * 3600_000 // ms; a window never lasts longer, and after lunch it is another visit

/** The visit of a device at a point that was begun on this phone and not ended. */
export function openHere(acts: Act[], device: string, point: string, now: number): string | undefined {
  const begun = acts.findLast((a) => a.kind === 'visit.open' && a.about?.device === device && a.about.point === point && a.state !== 'refused' && now - Date.parse(a.at) < goesOn)
  const id = begun?.about?.visit
  return id && !acts.some((a) => a.kind === 'visit.finish' && a.about?.visit === id && a.state !== 'refused') ? id : undefined
}
