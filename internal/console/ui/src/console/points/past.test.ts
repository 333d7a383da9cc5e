import { expect, test } from 'vitest'
import { drawn, gapsIn, sumOf } from './past'
import { beats, heardShare } from './silence'

const t0 = Date.parse('2026-05-01T00:00:00Z')
const h = 3_600_000
const at = (...hours: number[]) => hours.map((x, i) => ({ at: new Date(t0 + x * h).toISOString(), value: i }))

test('Three reports that stay away are a gap, and no line is drawn over it', () => {
  const samples = at(0, 1, 2, 6, 7)
  const gaps = gapsIn(samples, h, t0 + 8 * h)
  expect(gaps).toEqual([{ from: t0 + 2 * h, to: t0 + 6 * h }])
  expect(drawn(samples, gaps)[1]).toEqual([0, 1, 2, null, 3, 4])
})

test('Silence up to now is a gap too, and where no interval is known the usual distance stands for it', () => {
  expect(gapsIn(at(0, 1, 2), undefined, t0 + 9 * h)).toEqual([{ from: t0 + 2 * h, to: t0 + 9 * h }])
  expect(gapsIn(at(0, 1, 2), undefined, t0 + 4 * h)).toEqual([])
  expect(gapsIn([], h, t0)).toEqual([])
})

test('The sum says least, most, mean and last', () => {
  expect(sumOf(at(0, 1, 2))).toEqual({ n: 3, min: 0, max: 2, mean: 1, last: 2 })
  expect(sumOf([])).toBeUndefined()
})

test('The heartbeat bar shows which part of each slot was silent, and what was before the device was there', () => {
  const raised = new Date(t0 + 3 * h).toISOString()
  const all = beats([{ raised, returned: new Date(t0 + 5 * h).toISOString(), active: false }], t0 + 2 * h, t0, t0 + 8 * h, 4)
  expect(all.map((x) => x.silent)).toEqual([0, 0.5, 0.5, 0])
  expect(all.map((x) => x.there)).toEqual([false, true, true, true])
  expect(heardShare(all)).toBeCloseTo(2 / 3)
  expect(beats([{ raised, active: true }], t0, t0, t0 + 8 * h, 4).map((x) => x.silent)).toEqual([0, 0.5, 1, 1])
})
