// Which acts of the queue must be done before a new one: the order of the field.
import type { Act, NewAct } from '../lib/phone/act'

const makesPoint = (a: Act, p?: string) => Boolean(p) && a.kind === 'point.create' && a.about?.point === p
const places = (a: Act, d?: string) => Boolean(d) && ['device.claim', 'device.replace', 'device.move', 'device.revive'].includes(a.kind) && (a.about?.device === d || (a.body as { with?: string })?.with === d)
const ofVisit = (a: Act, v?: string) => Boolean(v) && ['visit.open', 'visit.step', 'photo'].includes(a.kind) && a.about?.visit === v

/** The open acts that a new one follows: its point is made, its device placed, its visit begun and, for the end of a visit, all of its steps. */
export function follow(queue: Act[], a: NewAct): string[] {
  const { point, device, visit } = a.about ?? {}
  const end = a.kind === 'visit.finish'
  return queue
    .filter((q) => q.state !== 'done')
    .filter((q) => makesPoint(q, point) || (a.kind !== 'photo' && places(q, device)) || (visit && (end ? ofVisit(q, visit) : a.kind !== 'photo' && q.kind === 'visit.open' && q.about?.visit === visit)))
    .map((q) => q.id)
}
