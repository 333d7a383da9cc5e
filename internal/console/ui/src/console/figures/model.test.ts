import { expect, test } from 'vitest'
import { texts } from '../texts/figures'
import { rungs, type Plot } from './plot'
import { aim, ask, changed, dayOf, groups, ready, reasonOf, rowsBehind, sorted, spark, step, streetsOf, turnOf, wishOf, written } from './model'

const at = Date.parse('2026-11-22T17:30:00Z') // half past one of the 23rd in the city

test('What is asked for stands in the address, and nonsense in it is left out', () => {
  const w = wishOf(new URLSearchParams('view=load&period=custom&from=2026-11-01&to=2026-11-07&compare=year&street=310105006&kind=smoke&mode=simulated'))
  expect(w).toMatchObject({ view: 'load', period: 'custom', from: '2026-11-01', to: '2026-11-07', compare: 'year', street: '310105006', kind: 'smoke', mode: 'simulated' })
  expect(wishOf(new URLSearchParams('view=x&period=y&from=then&compare=z&mode=practice'))).toEqual({ view: 'board', period: '30d', at: undefined, from: undefined, to: undefined, compare: 'prev', street: undefined, kind: undefined, mode: 'live' })
})

test('Days are those of the city, and the last day of a period is in it', () => {
  expect(dayOf(at)).toBe('2026-11-23')
  const q = (more: string) => new URLSearchParams(ask(wishOf(new URLSearchParams(more)), at))
  expect(q('period=today').get('period')).toBe('day')
  expect(q('period=yesterday').get('at')).toBe('2026-11-22T12:00:00+08:00')
  expect(q('period=custom&from=2026-11-01&to=2026-11-07').get('since')).toBe('2026-10-31T16:00:00.000Z')
  expect(q('period=custom&from=2026-11-01&to=2026-11-07').get('until')).toBe('2026-11-07T16:00:00.000Z')
  expect(q('period=month&at=2026-10-31').get('at')).toBe('2026-10-31T12:00:00+08:00')
  expect(q('compare=none').has('compare')).toBe(false)
  expect(q('mode=live').has('mode')).toBe(false)
  expect(ready(wishOf(new URLSearchParams('period=custom&from=2026-11-08&to=2026-11-07')))).toBe(false)
})

test('The period before and after has no gap and no overlap', () => {
  const of = (name: string, from: string, to: string) => ({ name, from: from + 'T00:00:00+08:00', to: to + 'T00:00:00+08:00', end: '' })
  expect(step(wishOf(new URLSearchParams('period=month')), of('', '2026-11-01', '2026-12-01'), -1)).toEqual({ at: '2026-10-31' })
  expect(step(wishOf(new URLSearchParams('period=month')), of('', '2026-11-01', '2026-12-01'), 1)).toEqual({ at: '2026-12-01' })
  expect(step(wishOf(new URLSearchParams('period=7d')), of('', '2026-11-16', '2026-11-23'), -1)).toEqual({ at: '2026-11-15' })
  expect(step(wishOf(new URLSearchParams('period=7d')), of('', '2026-11-16', '2026-11-23'), 1)).toEqual({ at: '2026-11-29' })
  expect(step(wishOf(new URLSearchParams('period=today')), of('', '2026-11-22', '2026-11-23'), -1)).toEqual({ period: 'custom', from: '2026-11-21', to: '2026-11-21' })
  expect(step(wishOf(new URLSearchParams('period=custom&from=2026-11-01&to=2026-11-07')), of('', '2026-11-01', '2026-11-08'), 1)).toEqual({ from: '2026-11-08', to: '2026-11-14' })
})

test('What was not measured is never 0, and a share is in percent', () => {
  expect(written({ share: true, denominator: 0 }, undefined, 'en-GB')).toBeUndefined()
  expect(written({ share: true, denominator: 4 }, 0, 'en-GB')).toBe('0.0 %')
  expect(written({ share: true, denominator: 3 }, 2 / 3, 'en-GB')).toBe('66.7 %')
  expect(written({ share: false }, 1234, 'en-GB')).toBe('1,234')
  expect(written({ share: false, denominator: 72 }, 61 / 72, 'en-GB')).toBe('0.85')
  expect(changed({ share: true, denominator: 3 }, -0.0123, 'en-GB')).toBe('−1.2')
  expect(changed({ share: true, denominator: 3 }, -0.0003, 'en-GB')).toBe('±0.0')
  expect(changed({ share: false }, 3, 'en-GB')).toBe('+3')
  expect(aim({ share: true, denominator: 1 }, { at_least: 0.95 }, 'en-GB')).toBe('≥ 95 %')
  expect(aim({ share: false }, { at_most: 0 }, 'en-GB')).toBe('≤ 0')
})

test('More is better or worse by the figure and its target', () => {
  expect(turnOf({ key: 'closing', share: true }, 0.1)).toBe('better')
  expect(turnOf({ key: 'rework', share: true, target: { at_most: 0.03 } }, 0.1)).toBe('worse')
  expect(turnOf({ key: 'overdue' }, -1)).toBe('better')
  expect(turnOf({ key: 'reported' }, 5)).toBe('neither')
  expect(turnOf({ key: 'closing', share: true }, 0.0004)).toBe('same')
  expect(turnOf({ key: 'load_hour', share: false, denominator: 72 }, 0.004)).toBe('same')
  expect(turnOf({ key: 'closing' }, undefined)).toBeUndefined()
})

test('Rows are ordered either way, what was not measured last', () => {
  const rows = [{ n: 2 }, { n: undefined }, { n: 10 }]
  expect(sorted(rows, (r) => r.n, true).map((r) => r.n)).toEqual([10, 2, undefined])
  expect(sorted(rows, (r) => r.n, false).map((r) => r.n)).toEqual([2, 10, undefined])
})

test('A small line has a gap where nothing was measured', () => {
  expect(spark([0, 1], 10, 10)).toBe('M0.0 10.0L10.0 0.0')
  expect(spark([0, undefined, 1], 10, 10)).toBe('M0.0 10.0M10.0 0.0')
  expect(spark([3, 3], 10, 10)).toBe('M0.0 5.0L10.0 5.0')
  expect(spark([1, undefined], 10, 10)).toBe('')
})

test('Each figure of the board has words in plain language, in both languages', () => {
  for (const key of groups.flatMap((g) => g.keys)) expect(texts, key).toHaveProperty([`why.${key}`])
})

test('A reason of the list of hot-spots is taken apart, and one that is not known is shown as it is', () => {
  expect(reasonOf('3 verified alarms of kind smoke in 30 days')).toEqual({ key: 'kind', values: { n: '3', kind: 'smoke', days: '30' } })
  expect(reasonOf("among the first 10 with 4 of the district's 20 verified alarms in 30 days").key).toBe('first')
  expect(reasonOf('1 verified alarms in 60 days')).toEqual({ key: 'any', values: { n: '1', days: '60' } })
  expect(reasonOf('because')).toEqual({ key: 'other', values: { text: 'because' } })
})

test('Links lead to the rows, streets come out of the tree', () => {
  expect(rowsBehind('overdue_p1', '310105006')).toBe('#/tickets?view=list&only=over&priority=1&street=310105006')
  expect(rowsBehind('nothing')).toBeUndefined()
  expect(streetsOf([{ code: '310105', kind: 'district', below: [{ code: '310105006', kind: 'street', name: '天山路街道' }, { code: '310105001', kind: 'street' }] }])).toEqual([{ code: '310105001', name: '310105001', name_en: undefined }, { code: '310105006', name: '天山路街道', name_en: undefined }])
})

test('An axis of times is marked where a person thinks, and not beyond what is drawn', () => {
  const plot = (longest: number): Plot => ({ kind: 'rows', log: true, labels: ['a'], series: [{ name: 'P99', values: [longest] }] })
  expect(rungs(plot(40))).toEqual([1, 10, 60])
  expect(rungs(plot(5_000))).toEqual([1, 10, 60, 600, 3_600, 21_600])
})
