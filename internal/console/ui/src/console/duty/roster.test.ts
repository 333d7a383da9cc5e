import { expect, test } from 'vitest'
import type { Plan, Shift, Watch } from './model'
import { again, barsOf, bodyOf, formOf, gapsOf, nowOf, wantOf } from './roster'

const at = (h: number) => new Date(Date.UTC(2026, 10, 23, h)).toISOString()
const watch: Watch = {
  for: 'unit:micro', roster: 'micro',
  spells: [{ from: at(0), to: at(8), persons: ['a'], wanted: true }, { from: at(8), to: at(12), persons: [], wanted: true }, { from: at(12), to: at(18), persons: [] }, { from: at(18), to: at(36), persons: ['b'], wanted: true }],
}

test('A week shows who is on duty and where nobody is who must be, cut at its ends', () => {
  const bars = barsOf(watch, Date.parse(at(4)), Date.parse(at(28)))
  expect(bars.map((b) => [b.persons.join(), b.gap, Math.round(b.left * 24), Math.round(b.width * 24)])).toEqual([['a', false, 0, 4], ['', true, 4, 4], ['b', false, 14, 10]])
})

test('Who is on duty now is told with who comes next', () => {
  expect(nowOf(watch, Date.parse(at(7)))).toMatchObject({ now: { persons: ['a'] }, next: { persons: [] } })
  expect(nowOf(watch, Date.parse(at(0)) - 400).now).toBe(watch.spells[0]) // the plan was made a moment ahead of this desk
  expect(nowOf(watch, Date.parse(at(40)))).toEqual({ now: undefined, next: watch.spells[0] })
})

test('A gap is where somebody must be and nobody is', () => {
  expect(gapsOf({ watches: [watch] } as Plan).map((g) => g.spell.from)).toEqual([at(8)])
})

test('A form says what it lacks, and becomes what the server takes', () => {
  const f = formOf({ for: 'seat:duty-lead', person: 'lead-day', from: at(0), every_ns: 24 * 3600e9, length_ns: 8 * 3600e9 }, 0)
  expect(f.pattern).toBe('daily')
  expect(wantOf(f)).toBeUndefined()
  expect(bodyOf(f)).toMatchObject({ for: 'seat:duty-lead', person: 'lead-day', from: at(0), every: '24h', length: '8h', to: undefined })
  expect(wantOf({ ...f, whom: 'lead' })).toBe('for')
  expect(wantOf({ ...f, person: ' ' })).toBe('person')
  expect(wantOf({ ...f, from: '' })).toBe('from')
  expect(wantOf({ ...f, to: f.from })).toBe('order')
  expect(wantOf({ ...f, length: '24' })).toBe('turn')
  expect(bodyOf({ ...f, pattern: 'once' })).toMatchObject({ every: undefined, length: undefined })
})

test('What was ended is made again as it was', () => {
  const s: Shift = { id: 'x', for: 'unit:a', person: 'p', from: at(0), hours: 'office', every_ns: 72 * 3600e9, length_ns: 90e9 }
  expect(again(s)).toEqual({ for: 'unit:a', person: 'p', from: at(0), to: undefined, hours: 'office', every: '259200s', length: '90s' })
})
