import { expect, test } from 'vitest'
import { patternOf, thingOf } from './screens'

const at = (path: string, query = '') => ({ path, parts: path.split('/').filter(Boolean), query: new URLSearchParams(query) })

test('A link to one thing opens its drawer and keeps what else it says', () => {
  expect(thingOf(at('/points/p-1', 'tab=past&range=1y'))).toBe('#/points?tab=past&range=1y&point=p-1')
  expect(thingOf(at('/devices/sn:1'))).toBe('#/devices?device=sn%3A1')
  expect(thingOf(at('/alarms/A'))).toBe('#/alarms?alarm=A')
})

test('A screen of its own is no thing', () => {
  for (const path of ['/devices/discovered', '/devices/quarantine', '/points', '/duty/hazards', '/units/u-1', '/points/p/x']) expect(thingOf(at(path)), path).toBeUndefined()
  expect(patternOf(at('/devices/discovered'))).toBe('devices/discovered')
})
