import type { Sample } from '../points/model'
import type { Reading, Step } from './steps'

const least = 30 * 60_000 // ms that are shown before the alarm
const most = 24 * 3_600_000 // and at most in all

const numberOf = (v: unknown): number | undefined => (typeof v === 'number' ? v : typeof v === 'boolean' ? Number(v) : undefined)
const readingsOf = (s: Step): Reading[] => (s.what === 'decoded' ? ((s.data?.readings as Reading[] | undefined) ?? []) : [])

/** signalsOf are the signals of a ticket that can be drawn; that of its event first. */
export function signalsOf(steps: Step[]): string[] {
  const all = new Set(steps.flatMap(readingsOf).filter((r) => numberOf(r.value) !== undefined).map((r) => r.signal))
  const event = steps.find((s) => s.what === 'event' && s.data?.signal)?.data?.signal as string | undefined
  return [...all].sort((a, b) => Number(b === event) - Number(a === event) || (a < b ? -1 : 1))
}

/** keptReadings are the values of a signal that the ticket's own frames brought, in order of time. */
export function keptReadings(steps: Step[], signal: string): Sample[] {
  return steps
    .flatMap((s) => readingsOf(s).filter((r) => r.signal === signal).map((r) => ({ at: s.at, value: numberOf(r.value) })))
    .filter((x): x is Sample => x.value !== undefined)
    .sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
}

/** around is the time that is worth seeing: half an hour before the alarm to its end or now, a day at most. */
export function around(raised: number, kept: Sample[], closed: string | undefined, now: number): { from: number; to: number } {
  const first = kept[0] ? Date.parse(kept[0].at) : raised
  const from = Math.max(Math.min(first, raised - least), raised - most / 2)
  const end = closed ? Date.parse(closed) + least : now
  return { from, to: Math.min(Math.max(end, raised + 60_000), from + most) }
}
