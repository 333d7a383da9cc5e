import { expect, test } from 'vitest'
import { meaning } from './refusal'
import { texts as shown } from './words'
import { refused } from './texts/refused'

const texts = { ...shown, ...refused }

const round = '01M81PNSERFPR2VD5G9F5YSFDQ'

/** The server's sentences as it says them, with what each becomes. */
const said: [string, string, string, Record<string, string>][] = [
  ['conflict', `stop 1 of round ${round} is done already`, 'why.stop.done', { n: '1' }],
  ['conflict', `stop 2 of round ${round} is dropped: want one that is open`, 'why.stop.state', { n: '2', state: 'dropped' }],
  ['conflict', `round ${round} was cancelled: rain`, 'why.round.state', { state: 'cancelled' }],
  ['conflict', 'ticket 2026-7 is closed: it has ended and takes no arrive', 'why.ticket.ended', { state: 'closed', verb: 'arrive' }],
  ['conflict', 'assignment 3 is accepted and ticket 2026-7 is in_progress: accept is not allowed, unit may resolve, return', 'why.ticket.state', { state: 'in_progress', verb: 'accept' }],
  ['conflict', 'attempt is 1: assignment 3 is at attempt 2 since its rework', 'why.ticket.rework', {}],
  ['conflict', 'point p-smoke has device sn:smoke-1 since 2026-11-22T01:00:00Z: replace or move it', 'why.point.taken', { device: 'sn:smoke-1' }],
  ['conflict', 'point "p-1" is registered already, as smoke', 'why.point.there', { point: 'p-1' }],
  ['conflict', 'installation of eui:24e1: point p-1 is retired', 'why.point.retired', { point: 'p-1' }],
  ['conflict', 'device eui:24e1 is at point p-1: want it swapped, moved or taken out there first', 'why.device.placed', { device: 'eui:24e1', point: 'p-1' }],
  ['conflict', 'device eui:24e1 is discovered and not at point p-1: claim it, or put it there first', 'why.device.elsewhere', { device: 'eui:24e1', point: 'p-1' }],
  ['conflict', 'device sn:a is barred and at no point: there is nothing to replace', 'why.device.replaced', {}],
  ['conflict', 'device sn:a is barred: want it revived before it is claimed', 'why.device.out', { state: 'barred' }],
  ['conflict', 'visit 00ff is signed by 王工 and waits for the device: want a new visit', 'why.visit.signed', { name: '王工' }],
  ['conflict', 'visit 00ff has passed at 2026-11-22T01:00:00Z: want a new visit', 'why.visit.over', { state: 'passed' }],
  ['conflict', 'steps test, photo of visit 00ff are still to be done: do them, or say why they cannot be done', 'why.visit.steps', { steps: 'test, photo' }],
  ['conflict', 'something new', 'refused.conflict', {}],
  ['forbidden', 'point "p-9" is not in your hands', 'why.hands', { point: 'p-9' }],
  ['forbidden', 'point p-9 would not be in your hands there', 'why.hands.new', {}],
  ['forbidden', 'term of unit lift-1 is 2026-01-01 to 2026-06-30, and it is 2026-11-22T00:00:00Z: its token opens nothing', 'why.term', {}],
  ['forbidden', "a unit's token reaches its own tickets and deliveries alone", 'why.own', {}],
  ['not_found', 'point "p-9" is not known', 'why.point.unknown', { point: 'p-9' }],
  ['not_found', 'device sn:x is not registered', 'why.device.unknown', { device: 'sn:x' }],
  ['invalid', 'at is 2026-12-01T00:00:00Z, and it is 2026-11-22T00:00:00Z: want a time that is not to come', 'why.ahead', {}],
  ['invalid', 'started is 2026-01-01T00:00:00Z: want one of the last 30 days', 'why.late', { n: '30' }],
  ['invalid', 'next is "2026-01-01": want the day on which it is tried again, such as 2026-12-01, after the visit', 'why.next', {}],
  ['invalid', 'point p: the position 0, 0 (WGS84) lies outside of every region', 'why.place', {}],
  ['invalid', 'validation failed: body.name: expected length <= 60', 'why.field', { field: 'name' }],
  ['teapot', 'short and stout', 'refused.other', {}],
]

test.each(said)('%s: %s', (code, detail, key, values) => {
  expect(meaning({ status: 400, code, detail })).toEqual({ key, values })
})

test('A text asks for no value that its sentence does not give', () => {
  for (const [code, detail, key] of said) {
    const wanted = [...texts[key as keyof typeof texts].zh.matchAll(/\{(\w+)\}/g)].map((m) => m[1]!)
    expect(Object.keys(meaning({ status: 400, code, detail }).values)).toEqual(expect.arrayContaining(wanted))
  }
})
