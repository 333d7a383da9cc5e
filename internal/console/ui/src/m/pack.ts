import { db } from '../lib/db'

/** A point as the field pack gives it. */
export interface PackPoint {
  id: string
  name: string
  kind: string
  building?: string
  floor?: string
  room?: string
  cell?: string
  position?: { crs: string; lat: number; lon: number }
  device?: string // identity of what is installed on its main channel
  profile?: string
}

export async function packPoints(): Promise<PackPoint[]> {
  return (await db()).getAll('points')
}

export async function packPoint(id: string): Promise<PackPoint | undefined> {
  return (await db()).get('points', id)
}
