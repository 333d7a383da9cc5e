import { ask, problemOf } from '../lib/api'
import { db, setSetting, setting } from '../lib/db'
import { read } from '../lib/kept'

/** A point as the field pack gives it. */
export interface PackPoint {
  id: string
  name: string
  kind: string
  building?: string
  floor?: string
  room?: string
  address?: string
  street?: string
  cell?: string
  lon?: number
  lat?: number
  crs?: string
  device?: string // identity of what is installed, its main channel first
  profile?: string // of that device
}

interface Page {
  points: PackPoint[]
  next?: string
}

/** What is kept of one page: if the server says that it has not changed, it is not sent again. */
interface Held {
  cursor: string
  etag: string
  next: string
  ids: string[]
}

export interface PackState {
  at: string
  count: number
}

/** Answers that the field needs beside the points; the server may not have all of them. */
const beside = ['/commissioning', '/profiles', '/buildings?limit=1000', '/tasks', '/rounds']

export const packPoints = async (): Promise<PackPoint[]> => (await db()).getAll('points')
export const packPoint = async (id: string): Promise<PackPoint | undefined> => (await db()).get('points', id)
export const packState = (): Promise<PackState | undefined> => setting<PackState>('pack')

const watchers = new Set<(s: PackState) => void>()

/** onPack tells of each new pack, until what it gives is called. */
export function onPack(fn: (s: PackState) => void): () => void {
  watchers.add(fn)
  return () => watchers.delete(fn)
}

/** loadPack takes the pack anew. A load that breaks off leaves the old points and goes on from there next time. */
export async function loadPack(progress: (n: number) => void = () => {}): Promise<PackState> {
  const held = (await setting<Held[]>('pack.pages')) ?? []
  const pages: Held[] = []
  for (let cursor = ''; ; ) {
    const page = await loadPage(cursor, held.find((h) => h.cursor === cursor))
    pages.push(page)
    progress(pages.reduce((n, p) => n + p.ids.length, 0))
    if (!page.next) break
    cursor = page.next
  }
  const ids = new Set(pages.flatMap((p) => p.ids))
  const tx = (await db()).transaction('points', 'readwrite')
  for (const id of await tx.store.getAllKeys()) if (!ids.has(id)) await tx.store.delete(id)
  await tx.done
  await setSetting('pack.pages', pages)
  for (const path of beside) await read(path).catch(() => undefined) // the points alone are of use too
  const state = { at: new Date().toISOString(), count: ids.size }
  await setSetting('pack', state)
  for (const fn of watchers) fn(state)
  return state
}

async function loadPage(cursor: string, held: Held | undefined): Promise<Held> {
  const path = '/field/pack' + (cursor ? '?cursor=' + encodeURIComponent(cursor) : '')
  const res = await ask(path, { headers: held ? { 'If-None-Match': held.etag } : {}, within: 60_000 })
  if (res.status === 304 && held) return held
  if (!res.ok) throw await problemOf(res)
  const page = (await res.json()) as Page
  const tx = (await db()).transaction('points', 'readwrite')
  for (const p of page.points) await tx.store.put(p)
  await tx.done
  return { cursor, etag: res.headers.get('ETag') ?? '', next: page.next ?? '', ids: page.points.map((p) => p.id) }
}

/** findPoints are those that hold every word, in name, id, place or device. */
export async function findPoints(words: string, limit = 20): Promise<PackPoint[]> {
  const all = words.toLowerCase().split(/\s+/).filter(Boolean)
  const hit = (p: PackPoint) => {
    const text = [p.name, p.id, p.building, p.floor, p.room, p.address, p.device].join(' ').toLowerCase()
    return all.every((w) => text.includes(w))
  }
  return (await packPoints()).filter(hit).slice(0, limit)
}
