import type { Mode, Priority } from '../types'

/** What cells may be coloured by. */
export const measures = ['alarms', 'tickets', 'silent', 'hotspots'] as const
export type Measure = (typeof measures)[number]

/** A row of GET /map: what goes on in a cell, of one mode. */
export interface CellNow {
  cell?: string
  street?: string
  mode: Mode
  alarms?: number
  unacked?: number
  worst?: Priority
  silent?: number
  tickets?: number
  overdue?: number
  hotspots?: number
}

export interface AlarmSpot {
  id: string
  type: string
  priority: Priority
  active: boolean
  acked: boolean
  mode: Mode
  raised: string
  cell?: string
  ticket?: string
  point: string
  name: string
  kind: string
  lon: number
  lat: number
}

export type Extent = [west: number, south: number, east: number, north: number]

/** GET /map. */
export interface MapNow {
  at: string
  points: number
  extent?: Extent
  cells: CellNow[]
  alarms: AlarmSpot[]
  beside?: number
  more?: number
}

export interface Area {
  type: 'Feature'
  properties: { code: string; kind: 'district' | 'street' | 'community' | 'cell'; name?: string; name_en?: string; mode: Mode; schematic?: boolean; synthetic?: boolean }
  geometry: { type: 'MultiPolygon'; coordinates: [number, number][][][] }
}

/** GET /map/areas. */
export interface Areas {
  type: 'FeatureCollection'
  attribution: string[]
  features: Area[]
}

/** A class of colour begins at each of these; below the first there is none. */
export const steps = [1, 3, 6, 11] as const

/** stepOf is the class of a count: 0 is none. */
export function stepOf(n: number): number {
  return steps.filter((from) => n >= from).length
}

/** rangeOf words a class: "1–2", "11+". */
export function rangeOf(step: number): string {
  const from = steps[step - 1]!
  const next = steps[step]
  return next === undefined ? `${from}+` : next - 1 === from ? String(from) : `${from}–${next - 1}`
}

export type Counts = Required<Pick<CellNow, Measure | 'unacked' | 'overdue'>> & { worst: Priority | 0 }

const none = (): Counts => ({ alarms: 0, tickets: 0, silent: 0, hotspots: 0, unacked: 0, overdue: 0, worst: 0 })

/** countsOf sums what goes on by area. An area counts what is of its own mode: an exercise colours no live cell. */
export function countsOf(rows: CellNow[], areas: Area[]): Map<string, Counts> {
  const out = new Map<string, Counts>()
  const modes = new Map(areas.map((a) => [a.properties.code, a.properties.mode]))
  for (const row of rows) {
    for (const code of [row.cell, row.street, (row.street ?? row.cell)?.slice(0, 6)]) {
      if (!code || modes.get(code) !== row.mode) continue
      const c = out.get(code) ?? none()
      out.set(code, c)
      for (const m of measures) c[m] += row[m] ?? 0
      c.unacked += row.unacked ?? 0
      c.overdue += row.overdue ?? 0
      if (row.worst && (c.worst === 0 || row.worst < c.worst)) c.worst = row.worst
    }
  }
  return out
}

/** middleOf is where an area's words stand: the middle of gravity of its largest ring, or of the ring's box if that lies outside. */
export function middleOf(a: Area): [number, number] {
  let best: [number, number] = [0, 0]
  let most = -1
  for (const [ring] of a.geometry.coordinates) {
    if (!ring) continue
    let [area, x, y] = [0, 0, 0]
    const [x0, y0] = ring[0]! // near to it: digits enough
    for (let i = 0; i + 1 < ring.length; i++) {
      const [ax, ay] = [ring[i]![0] - x0, ring[i]![1] - y0]
      const [bx, by] = [ring[i + 1]![0] - x0, ring[i + 1]![1] - y0]
      const f = ax * by - bx * ay
      area += f
      x += (ax + bx) * f
      y += (ay + by) * f
    }
    if (Math.abs(area) <= most) continue
    most = Math.abs(area)
    best = area === 0 ? [x0, y0] : [x0 + x / (3 * area), y0 + y / (3 * area)]
  }
  return best
}

/** around is the extent of areas, or undefined. */
export function around(areas: Area[]): Extent | undefined {
  let e: Extent | undefined
  for (const a of areas)
    for (const part of a.geometry.coordinates)
      for (const [x, y] of part[0] ?? []) e = e ? [Math.min(e[0], x), Math.min(e[1], y), Math.max(e[2], x), Math.max(e[3], y)] : [x, y, x, y]
  return e
}

export interface View {
  lon: number
  lat: number
  zoom: number
}

/** viewOf reads "121.41,31.22,13.5"; what is no view is none. */
export function viewOf(text: string | null | undefined): View | undefined {
  const n = text?.split(',').map((x) => (x.trim() === '' ? NaN : Number(x))) ?? []
  if (n.length !== 3 || n.some((x) => !Number.isFinite(x))) return undefined
  const [lon, lat, zoom] = n as [number, number, number]
  return Math.abs(lon) <= 180 && Math.abs(lat) <= 85 && zoom >= 0 && zoom <= 24 ? { lon, lat, zoom } : undefined
}

export function textOf(v: View): string {
  return [v.lon.toFixed(5), v.lat.toFixed(5), v.zoom.toFixed(2)].join(',')
}
