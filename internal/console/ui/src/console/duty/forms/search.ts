import { api } from '../../session.svelte'
import type { Page } from '../../types'
import { iconOf, name } from '../../texts/names'
import { t } from '../../texts/forms'
import type { Option } from './Pick.svelte'
import type { Where } from './report'

interface Point {
  id: string
  name: string
  kind: string
  address?: string
  building?: string
  cell?: string
  lon?: number
  lat?: number
  mode?: string
  state?: string
}

interface Building {
  id: string
  name: string
  address?: string
  cell?: string
}

/** pointOption is a point as a line of a list; its data is Where. */
function pointOption(p: Point): Option {
  const data: Where = { text: p.name, point: p.id, building: p.building, cell: p.cell, lon: p.lon, lat: p.lat, mode: p.mode }
  return { id: p.id, text: p.name, more: [p.address, p.id].filter(Boolean).join(' · '), icon: iconOf(p.kind), group: name('kind', p.kind), data }
}

/** findPoints looks for points by any word; kind narrows it. */
export async function findPoints(text: string, signal: AbortSignal, kind = ''): Promise<Option[]> {
  const got = await api<Page<Point>>(`/points?limit=8&q=${encodeURIComponent(text)}${kind ? '&kind=' + kind : ''}`, { signal })
  return got.items.filter((p) => p.state !== 'retired').map(pointOption)
}

/** findPlaces looks for points and buildings. */
export async function findPlaces(text: string, signal: AbortSignal): Promise<Option[]> {
  const [points, buildings] = await Promise.all([
    findPoints(text, signal),
    api<Page<Building>>(`/buildings?limit=4&q=${encodeURIComponent(text)}`, { signal }).catch(() => ({ items: [] as Building[] })),
  ])
  const houses = buildings.items.map((h): Option => {
    const data: Where = { text: [h.name, h.address].filter(Boolean).join('，'), building: h.id, cell: h.cell }
    return { id: h.id, text: h.name, more: [h.address, h.id].filter(Boolean).join(' · '), icon: 'door', group: t('report.where.building'), data }
  })
  return [...houses, ...points]
}

/** wherePoint is a point by its id, as it is selected in another panel. */
export async function wherePoint(id: string): Promise<Where> {
  return pointOption(await api<Point>('/points/' + encodeURIComponent(id))).data as Where
}

/** whereSpot is a spot on the map with the cell in which it lies. */
export async function whereSpot(lon: number, lat: number): Promise<Where> {
  const at = await api<{ cell?: string; street?: string; names?: Record<string, { zh?: string; en?: string; name?: string }> }>(`/cells/at?lon=${lon}&lat=${lat}&crs=WGS84`).catch(() => ({ cell: undefined }))
  return { text: '', lon, lat, cell: at.cell || undefined }
}
