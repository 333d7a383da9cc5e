import { expect, test } from 'vitest'
import { CityClock } from './cityclock'

const evening = Date.parse('2031-12-31T20:00:00+08:00')

test('before it has heard the server it shows our own time', () => {
  expect(new CityClock().at(5_000)).toBe(5_000)
})

test('at sixty times the speed a minute of the city passes in a second', () => {
  const c = new CityClock()
  expect(c.hear(evening, 60, 1_000)).toBe(true)
  expect(c.at(1_000)).toBe(evening)
  expect(c.at(2_000) - evening).toBe(60_000)
})

test('an answer that took a while moves no clock', () => {
  const c = new CityClock()
  c.hear(evening, 60, 0)
  expect(c.hear(evening + 60_000 + 50_000, 60, 1_000)).toBe(false)
  expect(c.at(1_000)).toBe(evening + 60_000)
  expect(c.hear(evening + 60_000 + 70_000, 60, 1_000)).toBe(true)
  expect(c.at(1_000)).toBe(evening + 130_000)
})

test('a restart at another speed is taken at once', () => {
  const c = new CityClock()
  c.hear(evening, 60, 0)
  expect(c.hear(evening + 600_000, 1, 10_000)).toBe(true)
  expect(c.at(11_000)).toBe(evening + 601_000)
})
