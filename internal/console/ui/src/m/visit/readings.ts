// A reading in a word. Signals are the server's names; the ones a technician meets have words here.
import { t, type Key } from '../words'
import type { Reading } from '../model'

const yesNo = new Set(['door.open', 'parking.occupied', 'manhole.open', 'manhole.flooded', 'smoke.alarm', 'smoke.fault', 'test', 'tamper', 'removed', 'battery.low'])

export function sayReading(r: Reading): string {
  if (yesNo.has(r.signal)) return t(`reading.${r.signal}.${r.value === true || r.value === 1 ? 'yes' : 'no'}` as Key)
  const name = numbers.has(r.signal) ? t(`reading.${r.signal}` as Key) : r.signal
  return `${name} ${typeof r.value === 'number' ? Math.round(r.value * 10) / 10 : String(r.value)}${r.uom && r.uom !== '1' ? ' ' + r.uom : ''}`
}

const numbers = new Set(['battery.level', 'battery.voltage', 'temperature', 'humidity', 'manhole.tilt'])
