import { ask, problemOf, Unreachable } from './api'
import { db } from './db'

/** An answer, and how old it is. */
export interface Read<T> {
  data: T
  at: string // when the server said so
  fresh: boolean // it was asked just now
}

/** read asks the server and keeps the answer; without a server it gives what was kept. It throws what a call throws if there is neither. */
export async function read<T>(path: string, signal?: AbortSignal): Promise<Read<T>> {
  const d = await db()
  const kept = await d.get('kept', path)
  let res: Response
  try {
    res = await ask(path, { signal, headers: kept?.etag ? { 'If-None-Match': kept.etag } : {}, within: 10_000 })
    if (res.status === 304 && kept) return { data: kept.body as T, at: new Date().toISOString(), fresh: true }
    if (!res.ok) throw await problemOf(res)
    const body = (await res.json()) as T
    const at = new Date().toISOString()
    await d.put('kept', { path, at, etag: res.headers.get('ETag') ?? '', body })
    return { data: body, at, fresh: true }
  } catch (err) {
    if (kept && (err instanceof Unreachable || (err as { status?: number }).status! >= 500)) return { data: kept.body as T, at: kept.at, fresh: false }
    throw err
  }
}

/** kept is the last answer alone. */
export async function kept<T>(path: string): Promise<Read<T> | undefined> {
  const k = await (await db()).get('kept', path)
  return k && { data: k.body as T, at: k.at, fresh: false }
}
