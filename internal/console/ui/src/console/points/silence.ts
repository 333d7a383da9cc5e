import type { Alarm } from '../types'

/** One slot of the heartbeat bar: what part of it the device was silent; none: it was not there. */
export interface Beat {
  from: number
  to: number
  silent: number // 0…1
  there: boolean
}

/**
 * beats cuts the time from from to now into n slots. spans are the episodes of silence; since
 * is when the device was put up.
 */
export function beats(spans: Pick<Alarm, 'raised' | 'returned' | 'active'>[], since: number, from: number, now: number, n: number): Beat[] {
  const wide = (now - from) / n
  const silent = spans.map((x) => [Date.parse(x.raised), x.active || !x.returned ? now : Date.parse(x.returned)] as const)
  return Array.from({ length: n }, (_, i) => {
    const [a, b] = [from + i * wide, from + (i + 1) * wide]
    const sum = silent.reduce((t, [s, e]) => t + Math.max(0, Math.min(b, e) - Math.max(a, s)), 0)
    return { from: a, to: b, silent: Math.min(1, sum / wide), there: b > since }
  })
}

/** heardShare is the part of the time it was there that it was not silent. */
export function heardShare(all: Beat[]): number | undefined {
  const there = all.filter((x) => x.there)
  if (there.length === 0) return undefined
  return 1 - there.reduce((t, x) => t + x.silent, 0) / there.length
}
