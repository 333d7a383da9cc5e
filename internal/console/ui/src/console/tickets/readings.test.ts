import { expect, test } from 'vitest'
import { around, keptReadings, signalsOf } from './readings'
import type { Step } from './steps'

const steps: Step[] = [
  { at: '2026-01-01T00:00:02Z', what: 'decoded', detail: '', data: { readings: [{ signal: 'smoke.alarm', value: true }, { signal: 'battery.level', value: 80 }, { signal: 'model', value: 'x' }] } },
  { at: '2026-01-01T00:00:01Z', what: 'decoded', detail: '', data: { readings: [{ signal: 'smoke.alarm', value: false }] } },
  { at: '2026-01-01T00:00:02Z', what: 'event', detail: '', data: { signal: 'smoke.alarm' } },
]
const raised = Date.parse('2026-01-01T00:00:02Z')

test('The event\'s signal is drawn first, and what is no number is not', () => {
  expect(signalsOf(steps)).toEqual(['smoke.alarm', 'battery.level'])
  expect(keptReadings(steps, 'smoke.alarm')).toEqual([{ at: '2026-01-01T00:00:01Z', value: 0 }, { at: '2026-01-01T00:00:02Z', value: 1 }])
})

test('The chart begins half an hour before the alarm and ends with the ticket, a day at most', () => {
  const kept = keptReadings(steps, 'smoke.alarm')
  expect(around(raised, kept, undefined, raised + 600_000)).toEqual({ from: raised - 1_800_000, to: raised + 600_000 })
  expect(around(raised, kept, '2026-01-01T01:00:00Z', raised).to).toBe(Date.parse('2026-01-01T01:30:00Z'))
  const long = around(raised, kept, undefined, raised + 10 * 86_400_000)
  expect(long.to - long.from).toBe(86_400_000)
})
