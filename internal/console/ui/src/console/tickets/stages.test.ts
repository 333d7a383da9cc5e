import { expect, test } from 'vitest'
import type { Ticket } from '../types'
import { byNeed, fits, isOver, nameOf, next, stageOf, stages, states, wishOf } from './stages'

const now = Date.parse('2026-01-01T12:00:00Z')
const at = (minutes: number) => new Date(now + minutes * 60_000).toISOString()
const ticket = (id: string, more: Partial<Ticket> = {}): Ticket => ({
  id, case: '20260101-' + id, type: 'door.held_open', priority: 3, mode: 'live', alarm: 'A', state: 'dispatched', verification: 'unverified', tier: 2, rework: 0,
  returns: 0, opened: at(-60), title: '门长时间未关 / Door held open', place: '3号楼 1F', assignments: [], moves: 0, revision: 0, ...more,
})
const clock = (name: string, due: number, stopped?: string) => ({ name, started: at(-60), due: at(due), stopped })

test('Every state has its stage, and every stage has a state', () => {
  expect(new Set(states.map(stageOf))).toEqual(new Set(stages))
  expect(stageOf('checking')).toBe('check')
  expect(stageOf('something new')).toBe('collect')
})

test('A ticket is judged by the nearest clock that runs, and by the total only when no other does', () => {
  expect(next(ticket('a', { clocks: [clock('total', 5), clock('handle', 60), clock('arrive', 20)] }))?.name).toBe('arrive')
  expect(next(ticket('a', { clocks: [clock('total', 5), clock('handle', 60, at(-1))] }))?.name).toBe('total')
  expect(next(ticket('a'))).toBeUndefined()
})

test('A limit that has passed is over before the server says so, one that stands still is not', () => {
  expect(isOver(ticket('a', { clocks: [clock('arrive', -1)] }), now)).toBe(true)
  expect(isOver(ticket('a', { clocks: [clock('handle', -1, at(-5))] }), now)).toBe(false)
  expect(isOver(ticket('a', { overdue: true }), now)).toBe(true)
})

test('Tickets stand by what is real, priority, what is over, and the nearest limit', () => {
  const order = [
    ticket('drill', { priority: 1, mode: 'exercise' }), ticket('far', { clocks: [clock('arrive', 90)] }), ticket('near', { clocks: [clock('arrive', 9)] }),
    ticket('p1', { priority: 1 }), ticket('over', { clocks: [clock('arrive', -9)] }),
  ].sort(byNeed(now))
  expect(order.map((t) => t.id)).toEqual(['p1', 'over', 'near', 'far', 'drill'])
})

test('A filter of the address finds by stage, unit, limit, tasks and words', () => {
  const t = ticket('a', { assignments: [{ id: 'a.1', ticket: 'a', unit: 'fire-1', lead: true, tier: 2, state: 'dispatched', attempt: 1, since: at(0) }], tasks: [{ n: 1, done: at(-1) }] })
  const asks = (q: string) => fits(t, wishOf(new URLSearchParams(q)), now)
  expect(asks('')).toBe(true)
  expect(asks('stage=dispatch&unit=fire-1&priority=3')).toBe(true)
  expect(asks('stage=check')).toBe(false)
  expect(asks('unit=lift-1')).toBe(false)
  expect(asks('only=over')).toBe(false)
  expect(asks('only=tasks')).toBe(false)
  expect(asks('text=3号楼 door')).toBe(true)
  expect(asks('text=4号楼')).toBe(false)
})

test('A title is shown in one language', () => {
  expect(nameOf('烟感报警 / Smoke alarm', 'zh')).toBe('烟感报警')
  expect(nameOf('烟感报警 / Smoke alarm', 'en')).toBe('Smoke alarm')
  expect(nameOf('只有一种', 'en')).toBe('只有一种')
})
