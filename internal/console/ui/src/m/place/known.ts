// What this phone knows of points and devices: the field pack, and over it what was done here and
// has not arrived yet. A point made in a cellar is in the list of that cellar at once.
import type { Act } from '../../lib/phone/act'
import { buildingName } from '../buildings.svelte'
import type { PackPoint } from '../pack'

export interface KnownPoint extends PackPoint {
  /** Made on this phone, not yet at the server. */
  local?: boolean
}

interface Body {
  id?: string
  with?: string
  profile?: string
  point?: string
  installations?: { point?: string; channel?: string }[]
}

/** The points of the pack with what waits in the queue laid over them. */
export function knownPoints(pack: PackPoint[], acts: Act[]): KnownPoint[] {
  const all = new Map<string, KnownPoint>(pack.map((p) => [p.id, p]))
  for (const a of acts) {
    if (a.taken) continue
    const body = (a.body ?? {}) as Body
    const id = a.about?.point
    if (a.kind === 'point.create' && body.id && !all.has(body.id)) all.set(body.id, { ...(a.body as PackPoint), local: a.state !== 'done' })
    if (a.state === 'refused') continue
    if (a.kind === 'device.claim') for (const i of body.installations ?? []) put(all, i.point, a.about?.device, body.profile, i.channel)
    if (a.kind === 'device.replace') put(all, id, body.with, body.profile)
    if (a.kind === 'device.move') {
      take(all, a.about?.device)
      put(all, body.point, a.about?.device)
    }
    if (a.kind === 'device.retire' || a.kind === 'device.bar') take(all, a.about?.device)
  }
  return [...all.values()]
}

function put(all: Map<string, KnownPoint>, point?: string, device?: string, profile?: string, channel = 'main') {
  const p = point && all.get(point)
  if (p && device && channel === 'main') all.set(p.id, { ...p, device, profile: profile ?? p.profile })
}

function take(all: Map<string, KnownPoint>, device?: string) {
  for (const p of all.values()) if (device && p.device === device) all.set(p.id, { ...p, device: undefined })
}

/** Points whose name, place, plate or device holds all the words. */
export function search<P extends KnownPoint>(points: P[], words: string): P[] {
  const all = words.toLowerCase().split(/\s+/).filter(Boolean)
  if (all.length === 0) return []
  return points.filter((p) => {
    const text = [p.id, p.name, p.address, p.building, p.floor, p.room, p.device, p.cell].join(' ').toLowerCase()
    return all.every((w) => text.includes(w))
  })
}

/** Where a point is, in words: what is known of it, the narrowest last. */
export function placeWords(p: { address?: string; building?: string; floor?: string; room?: string }): string {
  return [p.address, p.building && buildingName(p.building), p.floor, p.room].filter(Boolean).join(' · ')
}
