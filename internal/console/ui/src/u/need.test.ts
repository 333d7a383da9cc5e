import { expect, test } from 'vitest'
import { texts } from './texts'
import { byNeed, digits, movesOf, partOf, running, standing, type Ticket } from './need'

const ticket = (id: string, more: Partial<Ticket> & { part?: string } = {}): Ticket => ({
  id, case: id, type: 'smoke.alarm', priority: 3, mode: 'live', state: 'dispatched', verification: 'unverified', opened: '2026-03-01T08:00:00Z', title: '', place: '',
  rework: 0, moves: 0, revision: 1, assignments: [{ id: id + '.1', unit: 'u', lead: true, state: more.part ?? 'dispatched', attempt: 1 }], ...more,
})
const stateOf = (t: Ticket) => partOf(t, 'u')!.state

test('What is urgent and not accepted stands before what is overdue, and what waits for others last', () => {
  const all = [
    ticket('checked', { part: 'checking', priority: 1 }), ticket('going', { part: 'in_progress' }), ticket('late', { part: 'accepted', overdue: true }),
    ticket('new'), ticket('fire', { priority: 1 }), ticket('soon', { part: 'in_progress', due: '2026-03-01T07:00:00Z' }),
  ]
  expect(byNeed(all, stateOf).map((t) => t.id)).toEqual(['fire', 'late', 'new', 'soon', 'going', 'checked'])
})

test('What waits on the phone counts as done', () => {
  expect(standing(partOf(ticket('a'), 'u'), ['accept', 'arrive'])).toBe('in_progress')
  expect(movesOf('in_progress')[0]).toBe('resolve')
})

test('A unit gives back only what it has not accepted, as the table of moves says', () => {
  expect(movesOf('dispatched')).toContain('return')
  for (const s of ['accepted', 'in_progress', 'suspended', 'checking']) expect(movesOf(s)).not.toContain('return')
})

test('The clock is that of the next step, and one that stands still is none', () => {
  const t = ticket('a', { due: '2026-03-01T12:00:00Z', clocks: [{ name: 'accept', started: '', due: '2026-03-01T08:03:00Z' }, { name: 'handle', started: '', due: '2026-03-01T09:00:00Z', stopped: '2026-03-01T08:30:00Z' }] })
  expect(running(t, 'dispatched')).toEqual({ name: 'accept', due: '2026-03-01T08:03:00Z' })
  expect(running(t, 'in_progress')).toEqual({ name: 'total', due: '2026-03-01T12:00:00Z' })
  expect(running(t, 'checking')).toBeUndefined()
})

test('A clock has its digits', () => {
  expect([digits(299_000), digits(-3_909_000), digits(90_000_000)]).toEqual(['04:59', '1:05:09', '1d 01:00'])
})

test('Every text is there in both languages with the same values in it', () => {
  const values = (s: string) => [...s.matchAll(/\{\w+\}/g)].map((m) => m[0]).sort()
  for (const [key, both] of Object.entries(texts)) {
    expect(both.zh, key).not.toBe('')
    expect(values(both.zh), key).toEqual(values(both.en))
  }
})
