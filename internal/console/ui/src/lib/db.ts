import { openDB, type DBSchema, type IDBPDatabase } from 'idb'
import type { Act } from './phone/act'
import { app } from './phone/app'
import type { PackPoint } from '../m/pack'

/** Who is signed on, on this phone. */
export interface Session {
  token: string // '' : the cookie of an account, which no script can read
  account?: { id: string; name: string }
  name: string
  role: string // technician, …
  unit: { id: string; name: string; kind: string } | null
  signed: string // when
}

/** A picture that waits to be sent, or was. */
export interface Photo {
  id: string
  blob: Blob
  made: string
}

/** An answer of the server kept for when there is none. */
export interface Kept {
  path: string
  at: string
  etag: string
  body: unknown
}

interface Tables extends DBSchema {
  session: { key: string; value: Session }
  settings: { key: string; value: unknown }
  points: { key: string; value: PackPoint }
  acts: { key: string; value: Act; indexes: { n: number } }
  photos: { key: string; value: Photo }
  kept: { key: string; value: Kept }
}

export type DB = IDBPDatabase<Tables>

let open: Promise<DB> | undefined

/** db is the phone's own storage: it outlives reloads and restarts. */
export function db(): Promise<DB> {
  open ??= openDB<Tables>(app === 'm' ? 'gridgate-field' : 'gridgate-inbox', 1, {
    upgrade(d) {
      d.createObjectStore('session')
      d.createObjectStore('settings')
      d.createObjectStore('points', { keyPath: 'id' })
      d.createObjectStore('acts', { keyPath: 'id' }).createIndex('n', 'n')
      d.createObjectStore('photos', { keyPath: 'id' })
      d.createObjectStore('kept', { keyPath: 'path' })
    },
    blocking() {
      // A newer version of the app wants to change the tables: let it.
      void open?.then((d) => d.close())
      open = undefined
    },
    terminated() {
      open = undefined
    },
  })
  return open
}

export async function session(): Promise<Session | undefined> {
  return (await db()).get('session', 'me')
}

export async function setting<T>(name: string): Promise<T | undefined> {
  return (await (await db()).get('settings', name)) as T | undefined
}

export async function setSetting(name: string, value: unknown): Promise<void> {
  await (await db()).put('settings', value, name)
}

/** changeHands forgets what another person could see: points, answers, windows. The queue stays, each act with whose it is. */
export async function changeHands(): Promise<void> {
  await erase(['session', 'settings', 'points', 'kept'])
}

/** eraseAll forgets the person and all that was theirs, but for acts that are to stay; language and appearance, which are not here, stay. */
export async function eraseAll(stays: (a: Act) => boolean = () => false): Promise<void> {
  await changeHands()
  const tx = (await db()).transaction(['acts', 'photos'], 'readwrite')
  const left = (await tx.objectStore('acts').getAll()).filter((a) => a.state !== 'done' && stays(a))
  const pictures = new Set(left.map((a) => a.photo))
  for (const id of await tx.objectStore('acts').getAllKeys()) if (!left.some((a) => a.id === id)) await tx.objectStore('acts').delete(id)
  for (const id of await tx.objectStore('photos').getAllKeys()) if (!pictures.has(id)) await tx.objectStore('photos').delete(id)
  await tx.done
}

async function erase(tables: ('session' | 'settings' | 'points' | 'kept')[]): Promise<void> {
  const d = await db()
  const tx = d.transaction(tables, 'readwrite')
  for (const name of tables) void tx.objectStore(name).clear()
  await tx.done
}
