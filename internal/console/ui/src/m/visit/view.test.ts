import { describe, expect, it } from 'vitest'
import type { Act } from '../../lib/phone/act'
import type { Plan, Visit } from '../model'
import { bars, openHere, current, fromPlan, overlay, verdict, waitOf, waitsHere } from './view'

const b = (s: string) => ({ zh: s, en: s })
const plan: Plan = {
  kind: 'smoke',
  steps: [
    { id: 'first_frame', title: b('frame'), needs: 'device', wait_s: { mqtt: 60, nbiot: 7200 } },
    { id: 'test_button', title: b('test'), needs: 'device', check: 'moment' },
    { id: 'lid', title: b('lid'), needs: 'person', check: 'person' },
    { id: 'photo', title: b('photo'), needs: 'photo' },
  ],
}
const head = { id: 'v1', device: 'eui:1', point: 'p-1', kind: 'smoke', started: '2026-11-22T08:00:00Z' }
const act = (n: number, kind: string, body: unknown, state: Act['state'] = 'waiting'): Act =>
  ({ id: 'a' + n, n, key: 'k' + n, at: '2026-11-22T08:01:00Z', kind, title: b(kind), method: 'POST', path: '/', body, state, tries: 0, about: { visit: 'v1' } }) as Act
const done = (v: Visit) => v.steps.map((s) => s.state)

describe('a visit offline', () => {
  const visit = fromPlan(plan, head)
  const steps = ['test_button', 'lid', 'photo'].map((step, n) => act(n, 'visit.step', { step, result: 'passed' }))
  it('takes the steps of the person from the queue', () => {
    expect(done(overlay(visit, steps))).toEqual(['waiting', 'waiting', 'passed', 'passed'])
    expect(done(visit)).toEqual(['waiting', 'waiting', 'waiting', 'waiting'])
  })
  it('keeps the word of a person where only the device proves', () => {
    expect(overlay(visit, steps).steps[1]).toMatchObject({ state: 'waiting', said: 'passed', local: true })
  })
  it('asks for what a person can do and leaves the device to the server', () => {
    expect(current(visit)?.id).toBe('test_button')
    expect(current(overlay(visit, steps))).toBeUndefined()
    expect(verdict(overlay(visit, steps), true)).toBe('ready')
  })
  it('is never a pass: finished with pass it is pending', () => {
    const v = overlay(visit, [...steps, act(3, 'visit.finish', { verdict: 'pass', by: { name: 'ma' } })])
    expect(v.state).toBe('pending')
    expect(verdict(v, true)).toBe('pending')
  })
  it('is not a pass while anything waits here, whatever the server says of the rest', () => {
    expect(verdict({ ...visit, state: 'passed' }, true)).toBe('pending')
    expect(verdict({ ...visit, state: 'passed' }, false)).toBe('passed')
  })
  it('can be failed', () => expect(overlay(visit, [act(1, 'visit.finish', { verdict: 'fail', needs_gateway: true })])).toMatchObject({ state: 'failed', needs_gateway: true }))
})

describe('a visit with the server', () => {
  const visit: Visit = { ...fromPlan(plan, head), offline: false }
  it('waits for the device first', () => expect(current(visit)?.id).toBe('first_frame'))
  it('lets what arrived be the server’s', () => expect(done(overlay(visit, [act(1, 'visit.step', { step: 'photo', result: 'passed' }, 'done')]))).toEqual(['waiting', 'waiting', 'waiting', 'waiting']))
  it('does not end by a refused finish', () => expect(overlay(visit, [act(1, 'visit.finish', { verdict: 'pass' }, 'refused')]).state).toBe('open'))
  it('sticks at a failed step', () => expect(verdict(overlay(visit, [act(1, 'visit.step', { step: 'photo', result: 'failed' })]), true)).toBe('stuck'))
  it('knows what is only here', () => {
    expect(waitsHere('v1', [act(1, 'photo', {})])).toBe(true)
    expect(waitsHere('v2', [act(1, 'photo', {})])).toBe(false)
  })
})

describe('waits and signal', () => {
  it('a sleeping device has its own time', () => {
    expect(waitOf(plan.steps[0]!, 'nbiot')).toBe(7200)
    expect(waitOf(plan.steps[0]!, 'mqtt')).toBe(60)
    expect(waitOf(plan.steps[0]!)).toBe(7200)
    expect(waitOf({})).toBe(0)
  })
  it('the worse of strength and quality counts', () => {
    expect([bars({}), bars({ rssi_dbm: -60 }), bars({ rssi_dbm: -60, snr_db: -12 }), bars({ rssi_dbm: -118 })]).toEqual([0, 4, 1, 1])
  })
})

it('goes on with the visit that is open here, not with one that has ended', () => {
  const open = { ...act(1, 'visit.open', {}), about: { visit: 'v1', device: 'eui:1', point: 'p-1' } }
  const at = Date.parse(open.at)
  expect(openHere([open], 'eui:1', 'p-1', at + 60_000)).toBe('v1')
  expect(openHere([open], 'eui:2', 'p-1', at + 60_000)).toBeUndefined()
  expect(openHere([open], 'eui:1', 'p-1', at + 5 * 3600_000)).toBeUndefined()
  expect(openHere([open, act(2, 'visit.finish', { verdict: 'pass' })], 'eui:1', 'p-1', at)).toBeUndefined()
})
