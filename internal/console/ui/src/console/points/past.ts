import type { Sample } from './model'

/** Ranges of the past, by name, in ms. */
export const ranges = { '1h': 3_600_000, '6h': 21_600_000, '1d': 86_400_000, '7d': 604_800_000, '30d': 2_592_000_000, '90d': 7_776_000_000, '1y': 31_536_000_000 } as const
export type Range = keyof typeof ranges

/** A span in which nothing was said though something was due. */
export interface Gap {
  from: number
  to: number
}

const least = 5 * 60_000 // ms: shorter silence is no gap
const missed = 3 // reports that stay away are a gap

/**
 * gapsIn finds where samples are farther apart than three reports. interval is the device's,
 * in ms; where it is not known the usual distance of the samples stands for it. What lies
 * before the first sample is not known to be a gap; behind the last one it is, up to now.
 */
export function gapsIn(samples: Sample[], interval: number | undefined, now: number): Gap[] {
  const at = samples.map((x) => Date.parse(x.at))
  if (at.length === 0) return []
  const limit = Math.max(least, missed * (interval || usual(at)))
  const out: Gap[] = []
  for (let i = 1; i < at.length; i++) if (at[i]! - at[i - 1]! > limit) out.push({ from: at[i - 1]!, to: at[i]! })
  const last = at.at(-1)!
  if (now - last > limit) out.push({ from: last, to: now })
  return out
}

function usual(at: number[]): number {
  const apart = at.slice(1).map((x, i) => x - at[i]!).sort((a, b) => a - b)
  return apart[Math.floor(apart.length / 2)] ?? 0
}

/** drawn are the columns of a chart: seconds and values, with nothing where a gap is, so that no line is drawn over it. */
export function drawn(samples: Sample[], gaps: Gap[]): [number[], (number | null)[]] {
  const xs: number[] = []
  const ys: (number | null)[] = []
  let g = 0
  for (const x of samples) {
    const at = Date.parse(x.at)
    while (g < gaps.length && gaps[g]!.to <= at) {
      xs.push((gaps[g]!.from + gaps[g]!.to) / 2000)
      ys.push(null)
      g++
    }
    xs.push(at / 1000)
    ys.push(x.value)
  }
  return [xs, ys]
}

/** What is said of the past in words. */
export interface Sum {
  n: number
  min: number
  max: number
  mean: number
  last: number
}

export function sumOf(samples: Sample[]): Sum | undefined {
  if (samples.length === 0) return undefined
  let [min, max, total] = [Infinity, -Infinity, 0]
  for (const { value } of samples) {
    min = Math.min(min, value)
    max = Math.max(max, value)
    total += value
  }
  return { n: samples.length, min, max, mean: total / samples.length, last: samples.at(-1)!.value }
}
