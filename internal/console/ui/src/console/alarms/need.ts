import type { Entry } from '../types'

/** What should sound now, again and again: P1 or P2 that nobody has acknowledged; at a seat, what nobody has taken though all seats were told. */
export type Ring = 'untaken' | 'p1' | 'p2' | 'none'

/** ringOf is the worst unacknowledged in the queue. Only what is real rings on; practice rings once. */
export function ringOf(entries: Entry[], seated = false): Ring {
  let ring: Ring = 'none'
  if (seated && entries.some((e) => e.alarm?.mode === 'live' && e.alarm.untaken?.seats && !e.alarm.taken)) return 'untaken'
  for (const e of entries) {
    if (e.state === 'LATCHED_RTN' || (e.alarm?.mode ?? e.group!.mode) !== 'live') continue
    if (e.alarm) ring = worse(ring, e.alarm.acked ? 9 : e.alarm.priority)
    else for (const m of e.group!.members) ring = worse(ring, m.state === 'UNACK' ? m.priority : 9)
    if (ring === 'p1') return ring
  }
  return ring
}

const worse = (r: Ring, priority: number): Ring => (priority === 1 ? 'p1' : priority === 2 && r === 'none' ? 'p2' : r)

/** A tone: of a pitch in Hz, from and for so many seconds. */
export interface Tone {
  hz: number
  at: number
  for: number
}

/** The patterns differ in pitch, rhythm and length, so that P1 is known without looking. every: seconds from one to the next. */
export const patterns: Record<'untaken' | 'p1' | 'p2' | 'once', { every: number; tones: Tone[] }> = {
  untaken: { every: 2.4, tones: [523, 659, 784, 1047, 1047].map((hz, i) => ({ hz, at: i * 0.18, for: i === 3 ? 0.16 : 0.15 })) },
  p1: { every: 1.6, tones: [0, 0.2, 0.4, 0.8, 1].map((at) => ({ hz: at < 0.6 ? 988 : 740, at, for: 0.15 })) },
  p2: { every: 6, tones: [{ hz: 587, at: 0, for: 0.3 }, { hz: 494, at: 0.35, for: 0.4 }] },
  once: { every: 0, tones: [{ hz: 659, at: 0, for: 0.12 }, { hz: 659, at: 0.2, for: 0.12 }] },
}

/** fresh counts the alarms of the queue that were not there before, and adds them to known. */
export function fresh(entries: Entry[], known: Set<string>): number {
  let n = 0
  const now = new Set<string>()
  for (const e of entries) {
    for (const x of e.alarm ? [e.alarm] : e.group!.members) {
      const key = `${x.id}/${x.revision}`
      now.add(key)
      if (!known.has(key) && ('acked' in x ? !x.acked : x.state === 'UNACK')) n++
    }
  }
  known.clear()
  for (const key of now) known.add(key)
  return n
}
