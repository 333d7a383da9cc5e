import { expect, test } from 'vitest'
import type { Alarm, Ticket } from '../types'
import { nearTo, type Incident } from './near'

const ticket = { id: 'T', alarm: 'A', incident: 'I', cell: 'c1', mode: 'live', members: [{ alarm: 'B' }] } as unknown as Ticket
const alarm = (id: string, more: Partial<Alarm>) => ({ id, type: 'door.forced', priority: 3, mode: 'live', raised: '2026-01-01T00:00:00Z', ...more }) as Alarm

test('Beside a ticket stands what the server linked, then its house, then its cell, each once', () => {
  const linked = [{ id: 'J', type: 'smoke.alarm', priority: 1, building: 'b-5', opened: '2026-01-01T00:00:00Z' }, { id: 'K', ended: '2026-01-01T01:00:00Z' }, { id: 'I' }] as Incident[]
  const near = nearTo(ticket, 'b-3', linked, [
    alarm('A', { building: 'b-3' }), alarm('B', { building: 'b-3' }), alarm('own', { cell: 'c1', ticket: 'T' }), alarm('of-j', { incident: 'J', cell: 'c1' }),
    alarm('cell', { cell: 'c1' }), alarm('house', { building: 'b-3', priority: 4 }), alarm('worse', { building: 'b-3', cell: 'c1', priority: 2 }),
    alarm('drill', { building: 'b-3', mode: 'exercise' }), alarm('far', { cell: 'c2' }),
  ])
  expect(near.map((n) => `${n.tie} ${n.key}`)).toEqual(['related J', 'building worse', 'building house', 'cell cell'])
})

test('Without a house and a cell nothing is taken for a neighbour', () => {
  expect(nearTo({ ...ticket, cell: undefined } as Ticket, undefined, [], [alarm('x', {})])).toEqual([])
})
