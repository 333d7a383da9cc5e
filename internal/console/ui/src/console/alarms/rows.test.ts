import { expect, test } from 'vitest'
import type { Alarm, Entry, Herd } from '../types'
import { fresh, ringOf } from './need'
import { barOut, barShelve, fits, groupKey, rowsOf, unseen } from './rows'

const alarm = (id: string, more: Partial<Alarm> = {}): Alarm => ({
  id, type: 'smoke.alarm', point: 'p-' + id, priority: 1, mode: 'live', active: true, acked: false, raised: '2026-01-01T00:00:00Z', at: '2026-01-01T00:00:00Z',
  count: 1, revision: 0, ...more,
})
const entry = (a: Alarm): Entry => ({ alarm: a, state: a.acked ? 'ACK' : 'UNACK' })
const herd = (more: Partial<Herd> = {}): Herd => ({
  cause: 'parking.overstay', cell: 'c1', mode: 'live', count: 3, unacked: 2, worst: 3, oldest: '2026-01-01T00:00:00Z',
  members: [
    { id: 'm1', revision: 4, type: 'parking.overstay', priority: 3, state: 'UNACK', raised: '' },
    { id: 'm2', revision: 0, type: 'parking.overstay', priority: 3, state: 'ACK', raised: '' },
  ],
  ...more,
})

test('Alarms of one incident stand together behind its first', () => {
  const entries = [entry(alarm('a', { incident: 'i' })), entry(alarm('x', { type: 'manhole.open' })), entry(alarm('b', { incident: 'i', acked: true }))]
  const rows = rowsOf(entries, new Set())
  expect(rows.map((r) => r.key)).toEqual(['a', 'b', 'x'])
  expect(rows[0]).toMatchObject({ head: true, under: false })
  expect(rows[1]).toMatchObject({ head: false, under: true })
})

test('Nothing of an incident that was seen moves up past smoke that nobody has', () => {
  const entries = [entry(alarm('a', { incident: 'i' })), entry(alarm('first', { incident: 'j' })), entry(alarm('b', { incident: 'i', acked: true }))]
  expect(rowsOf(entries, new Set()).map((r) => r.key)).toEqual(['a', 'first', 'b'])
})

test('Real smoke and a drill of one incident are never one', () => {
  const entries = [entry(alarm('a', { incident: 'i' })), entry(alarm('x', { type: 'manhole.open' })), entry(alarm('b', { incident: 'i', mode: 'exercise' }))]
  expect(rowsOf(entries, new Set()).map((r) => r.key)).toEqual(['a', 'x', 'b'])
})

test('An open group shows its members and counts those that it does not name', () => {
  const g = herd()
  const rows = rowsOf([{ group: g, state: 'UNACK' }], new Set([groupKey(g)]))
  expect(rows.map((r) => r.kind)).toEqual(['group', 'member', 'member', 'rest'])
  expect(rows[3]).toMatchObject({ left: 1 })
  expect(rowsOf([{ group: g, state: 'UNACK' }], new Set())).toHaveLength(1)
})

test('What is acknowledged is named with the revision that was shown, once', () => {
  const g = herd()
  const rows = rowsOf([entry(alarm('a', { revision: 2 })), entry(alarm('b', { acked: true })), { group: g, state: 'UNACK' }], new Set([groupKey(g)]))
  expect(unseen(rows)).toEqual([{ id: 'a', revision: 2 }, { id: 'm1', revision: 4 }])
})

test('A filter finds by priority, state, cell and words', () => {
  const e = entry(alarm('a', { cell: 'c9' }))
  const words = () => '3号楼 B1 烟感'
  expect(fits(e, {}, words)).toBe(true)
  expect(fits(e, { priority: 2 }, words)).toBe(false)
  expect(fits(e, { state: 'ACK' }, words)).toBe(false)
  expect(fits(e, { cell: 'c1' }, words)).toBe(false)
  expect(fits(e, { text: 'b1' }, words)).toBe(true)
  expect(fits(e, { text: 'b2' }, words)).toBe(false)
})

test('Smoke and P1 are never shelved, and only a supervisor takes smoke out of service', () => {
  const operator = { role: 'operator', wall: false }
  expect(barShelve(alarm('a'), operator)).toBe('no.shelve.smoke')
  expect(barShelve(alarm('a', { type: 'manhole.open' }), operator)).toBe('no.shelve.p1')
  expect(barShelve(alarm('a', { type: 'door.held_open', priority: 3 }), operator)).toBeUndefined()
  expect(barShelve(alarm('a', { type: 'door.held_open', priority: 3 }), { role: 'operator', wall: true })).toBe('no.wall')
  expect(barOut(alarm('a'), operator)).toBe('no.out.smoke')
  expect(barOut(alarm('a'), { role: 'supervisor', wall: false })).toBeUndefined()
})

test('P1 that nobody has acknowledged rings, in a group too; what was acknowledged, is over or is practice does not', () => {
  expect(ringOf([])).toBe('none')
  expect(ringOf([entry(alarm('a'))])).toBe('p1')
  expect(ringOf([entry(alarm('a', { acked: true })), entry(alarm('b', { priority: 2 }))])).toBe('p2')
  expect(ringOf([entry(alarm('a', { mode: 'exercise' }))])).toBe('none')
  expect(ringOf([{ alarm: alarm('a', { active: false, latch: true }), state: 'LATCHED_RTN' }])).toBe('none')
  expect(ringOf([entry(alarm('b', { priority: 3 })), { group: herd({ members: [{ id: 'm', revision: 0, type: 'manhole.open', priority: 1, state: 'UNACK', raised: '' }] }), state: 'UNACK' }])).toBe('p1')
})

test('An alarm is new once, and again when it came back', () => {
  const known = new Set<string>()
  expect(fresh([entry(alarm('a')), { group: herd(), state: 'UNACK' }], known)).toBe(2)
  expect(fresh([entry(alarm('a')), { group: herd(), state: 'UNACK' }], known)).toBe(0)
  expect(fresh([entry(alarm('a', { revision: 1 }))], known)).toBe(1)
  expect(fresh([entry(alarm('a', { revision: 2, acked: true }))], known)).toBe(0)
})
