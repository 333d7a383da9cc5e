// A chart as data: what it shows, and the table that stands behind it.

export interface Series { name: string; values: (number | undefined)[] }

export interface Plot {
  kind: 'line' | 'bar' | 'rows' // rows: bars from left to right, the first on top
  labels: string[]
  series: Series[]
  share?: boolean
  digits?: number
  unit?: string
  log?: boolean // times from a second to a day
  limits?: { name: string; at: number }[]
}

export const say = (p: Plot, v: number | undefined, locale: string, none: string): string => {
  if (v === undefined) return none
  const digits = p.share ? 1 : (p.digits ?? 0)
  const text = new Intl.NumberFormat(locale, { minimumFractionDigits: p.share ? 1 : 0, maximumFractionDigits: digits }).format(p.share ? v * 100 : v)
  return text + (p.share ? ' %' : p.unit ? ' ' + p.unit : '')
}

/** tableOf is what a chart shows, in rows. */
export function tableOf(p: Plot, locale: string, none: string): string[][] {
  return p.labels.map((label, i) => [label, ...p.series.map((s) => say(p, s.values[i], locale, none))])
}

/** drawable says whether there is something to be drawn. */
export const drawable = (p: Plot) => p.series.some((s) => s.values.some((v) => v !== undefined))

/** rungs are the times that a person thinks in, up to the longest that is drawn. */
const times = [1, 10, 60, 600, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400]
export function rungs(p: Plot): number[] {
  const most = Math.max(1, ...p.series.flatMap((s) => s.values.filter((v) => v !== undefined)))
  return times.filter((s, i) => i === 0 || times[i - 1]! < most)
}
