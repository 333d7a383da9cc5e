import { expect, test } from 'vitest'
import { around, countsOf, middleOf, rangeOf, stepOf, textOf, viewOf, type Area } from './measure'

const area = (code: string, kind: Area['properties']['kind'], mode: Area['properties']['mode'] = 'live'): Area => ({
  type: 'Feature', properties: { code, kind, mode }, geometry: { type: 'MultiPolygon', coordinates: [[[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]], [[[5, 5], [6, 5], [6, 6], [5, 5]]]] },
})

test('A cell, its street and its district count what is of their own mode', () => {
  const areas = [area('310105', 'district'), area('310105005', 'street'), area('310105005001001', 'cell')]
  const got = countsOf(
    [
      { cell: '310105005001001', street: '310105005', mode: 'live', alarms: 2, worst: 3 },
      { street: '310105005', mode: 'live', alarms: 1, worst: 1, tickets: 4 },
      { cell: '310105005001001', street: '310105005', mode: 'exercise', alarms: 50, worst: 1 },
    ],
    areas,
  )
  expect(got.get('310105005001001')).toMatchObject({ alarms: 2, worst: 3, tickets: 0 })
  expect(got.get('310105005')).toMatchObject({ alarms: 3, worst: 1, tickets: 4 })
  expect(got.get('310105')).toMatchObject({ alarms: 3 })
})

test('A simulated district shows what is simulated', () => {
  expect(countsOf([{ street: '310105005', mode: 'simulated', silent: 7 }], [area('310105005', 'street', 'simulated')]).get('310105005')?.silent).toBe(7)
})

test('Classes begin where their words say', () => {
  expect([0, 1, 2, 3, 5, 6, 10, 11, 900].map(stepOf)).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4])
  expect([1, 2, 3, 4].map(rangeOf)).toEqual(['1–2', '3–5', '6–10', '11+'])
})

test('Words stand in the middle of the largest part, and all parts are in the extent', () => {
  expect(middleOf(area('x', 'cell'))).toEqual([1, 1])
  expect(around([area('x', 'cell')])).toEqual([0, 0, 6, 6])
  expect(around([])).toBeUndefined()
})

test('A view in the address is read, and one that is none is not believed', () => {
  expect(viewOf(textOf({ lon: 121.41, lat: 31.22, zoom: 13.5 }))).toEqual({ lon: 121.41, lat: 31.22, zoom: 13.5 })
  for (const bad of [null, '', '1,2', '1,,3', 'a,b,c', '181,0,3', '0,91,3', '0,0,99']) expect(viewOf(bad)).toBeUndefined()
})
