import { expect, test } from 'vitest'
import { Book, inQueue, most, stateOf } from './book'
import type { Alarm, Delivery, Ticket } from './types'

const alarm = (id: string, more: Partial<Alarm> = {}): Alarm => ({
  id, type: 'door.held_open', priority: 3, mode: 'live', active: true, acked: false, raised: '2026-11-22T08:00:00Z', at: '2026-11-22T08:00:00Z', count: 1, revision: 1, point: 'p', ...more,
})
const ticket = (id: string, more: Partial<Ticket> = {}): Ticket => ({
  id, case: id, type: 'door.held_open', priority: 3, mode: 'live', alarm: 'a', state: 'dispatched', verification: 'unverified', tier: 1, rework: 0, returns: 0,
  opened: '2026-11-22T08:00:00Z', title: id, place: '', assignments: [], moves: 1, revision: 1, ...more,
})
const order = (b: Book) => b.known().queue.entries.map((e) => e.alarm!.id)

test('Alarms stand in order of need: real before practice, unseen smoke first, then other P1, then by priority', () => {
  const b = new Book()
  for (const a of [
    alarm('exercise', { mode: 'exercise', type: 'smoke.alarm', priority: 1 }), alarm('door'), alarm('lid', { type: 'manhole.open', priority: 1 }), alarm('seen', { type: 'smoke.alarm', priority: 1, acked: true }),
    alarm('smoke', { type: 'smoke.alarm', priority: 1, raised: '2026-11-22T09:00:00Z' }), alarm('older', { raised: '2026-11-22T07:00:00Z' }),
  ]) b.tell('alarm', a)
  expect(order(b)).toEqual(['smoke', 'lid', 'seen', 'older', 'door', 'exercise'])
})

test('An acknowledged alarm stays while it is active and leaves when it has returned', () => {
  const b = new Book()
  b.tell('alarm', alarm('a'))
  b.tell('alarm', alarm('a', { acked: true, revision: 2 }))
  expect(b.known().queue).toMatchObject({ alarms: 1, unacked: 0 })
  b.tell('alarm', alarm('a', { acked: true, active: false, revision: 3 }))
  expect(b.known().queue).toMatchObject({ alarms: 0, unacked: 0, entries: [] })
})

test('What comes late does not take the place of what is newer', () => {
  const b = new Book()
  b.tell('alarm', alarm('a', { acked: true, revision: 5 }))
  b.tell('alarm', alarm('a', { acked: false, revision: 4 }))
  expect(b.known().queue.unacked).toBe(0)
  b.tell('ticket', ticket('t', { state: 'accepted', revision: 3 }))
  b.tell('ticket', ticket('t', { state: 'dispatched', revision: 2 }))
  expect(b.known().tickets[0]!.state).toBe('accepted')
})

test('A shelved alarm is not in the queue, smoke always is', () => {
  const cover = { window: 'w', kind: 'shelved', state: 'held' }
  expect(inQueue(alarm('a', { cover }))).toBe(false)
  expect(inQueue(alarm('a', { cover, type: 'smoke.alarm' }))).toBe(true)
})

test('The word for an episode follows its two booleans', () => {
  expect([
    stateOf(alarm('a')), stateOf(alarm('a', { acked: true })), stateOf(alarm('a', { active: false })), stateOf(alarm('a', { active: false, latch: true })), stateOf(alarm('a', { active: false, acked: true })),
  ]).toEqual(['UNACK', 'ACK', 'RTN_UNACK', 'LATCHED_RTN', 'NORMAL'])
})

test('Lists that did not change are the same objects', () => {
  const b = new Book()
  b.readTickets([ticket('t')], false)
  const before = b.known()
  b.tell('alarm', alarm('a'))
  const after = b.known()
  expect(after.tickets).toBe(before.tickets)
  expect(after.queue).not.toBe(before.queue)
})

test('A tab that lives for days does not grow: what ended is dropped, and there are bounds', () => {
  const b = new Book()
  for (let i = 0; i < 2_000; i++) {
    b.tell('ticket', ticket('t' + i))
    b.tell('ticket', ticket('t' + i, { state: 'closed', revision: 2 }))
    b.tell('alarm', alarm('a' + i))
    b.tell('alarm', alarm('a' + i, { active: false, acked: true, revision: 2 }))
    const d: Delivery = { id: 'd' + i, n: 1, ticket: 't', assignment: 'x', unit: 'u', connector: 'webhook', type: 'ticket.opened', priority: 1, mode: 'live', lane: 'bulk', created: '', state: 'pending', attempts: 2 }
    b.tell('delivery', d)
    b.tell('delivery', { ...d, state: 'received' })
  }
  expect(b.known()).toMatchObject({ tickets: [], deliveries: [], queue: { alarms: 0, entries: [] } })
  for (let i = 0; i < most.tickets + 50; i++) b.tell('ticket', ticket('o' + i))
  expect(b.known().tickets.length).toBe(most.tickets)
  expect(b.known().moreTickets).toBe(true)
})

test('A delivery is kept without its body', () => {
  const b = new Book()
  b.tell('delivery', { id: 'd', state: 'dead', attempts: 9, body: { secret: 1 } })
  expect(b.known().deliveries).toEqual([{ id: 'd', state: 'dead', attempts: 9 }])
})

test('A posture that has ended is not in force any more', () => {
  const b = new Book()
  b.tell('posture', { id: 'p', posture: 'typhoon', from: '2026-03-02T08:00:00Z', to: '2026-03-02T20:00:00Z' })
  expect(b.known().posture?.posture).toBe('typhoon')
  b.tell('posture', { id: 'p', posture: 'typhoon', from: '2026-03-02T08:00:00Z', to: '2026-03-02T20:00:00Z', ended: '2026-03-02T09:00:00Z' })
  expect(b.known().posture?.posture).toBe('normal')
})
