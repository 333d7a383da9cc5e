// Where things are from here, without a map: metres, a compass word and a place on a dial.

export interface Spot {
  lon: number
  lat: number
}

const earth = 6371008.8 // metres, mean radius

const rad = (deg: number) => (deg * Math.PI) / 180

/** Metres between two places in WGS84. */
export function metres(a: Spot, b: Spot): number {
  const half = (x: number) => Math.sin(rad(x) / 2) ** 2
  const h = half(b.lat - a.lat) + Math.cos(rad(a.lat)) * Math.cos(rad(b.lat)) * half(b.lon - a.lon)
  return 2 * earth * Math.asin(Math.min(1, Math.sqrt(h)))
}

/** The way from a to b in degrees, north is 0, east is 90. */
export function bearing(a: Spot, b: Spot): number {
  const x = Math.cos(rad(b.lat)) * Math.sin(rad(b.lon - a.lon))
  const y = Math.cos(rad(a.lat)) * Math.sin(rad(b.lat)) - Math.sin(rad(a.lat)) * Math.cos(rad(b.lat)) * Math.cos(rad(b.lon - a.lon))
  return ((Math.atan2(x, y) * 180) / Math.PI + 360) % 360
}

const winds = ['n', 'ne', 'e', 'se', 's', 'sw', 'w', 'nw'] as const
export type Wind = (typeof winds)[number]

export const wind = (degrees: number): Wind => winds[Math.round(degrees / 45) % 8]!

/** A distance as a person says it: nobody paces off 137.4 m. */
export function sayMetres(m: number): string {
  if (m < 10) return `${Math.max(1, Math.round(m))} m`
  if (m < 100) return `${Math.round(m / 5) * 5} m`
  if (m < 1000) return `${Math.round(m / 10) * 10} m`
  return `${(m / 1000).toFixed(1)} km`
}

export interface Near<P> {
  point: P
  metres: number
  bearing: number
}

/** The points within reach, nearest first; those without a position are left out. */
export function nearest<P extends Partial<Spot>>(here: Spot, points: P[], within = 500, most = 30): Near<P>[] {
  const out: Near<P>[] = []
  for (const point of points) {
    if (!point.lon || !point.lat) continue
    const there = { lon: point.lon, lat: point.lat }
    const m = metres(here, there)
    if (m <= within) out.push({ point, metres: m, bearing: bearing(here, there) })
  }
  return out.sort((a, b) => a.metres - b.metres).slice(0, most)
}

/** Where to draw a neighbour on a dial of radius 1: near ones are spread, far ones stay on its rim. */
export function onDial(n: { metres: number; bearing: number }, reach: number): { x: number; y: number } {
  const r = Math.sqrt(Math.min(1, n.metres / reach))
  return { x: r * Math.sin(rad(n.bearing)), y: -r * Math.cos(rad(n.bearing)) }
}
