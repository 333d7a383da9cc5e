// Sends the queue. It knows no screen, so that the service worker can run it too when the
// app is closed (Background Sync).
import { ask, passing, problemOf, Unreachable } from '../api'
import { db, session, type DB, type Session } from '../db'
import { fill, ofOwner, ownerOf, type Act } from './act'
import { app } from './app'

/** Why a run ended: everything is sent or waits for a person; the server did not answer; it wants a sign-on. */
export type Ended = 'idle' | 'unreachable' | 'unauthorized'

/** A server that fails at the same act so often will fail at it again: a person must see it. */
const internalTries = 5

/** Done acts are kept so long, to be looked at and referred to. */
const keepDone = 3 * 24 * 3600_000

export const channelName = 'gridgate-queue-' + app

/**
 * drain sends what waits, one by one in the order of doing. Of all tabs and the service
 * worker one sends at a time. told is called after each change on disk.
 */
export async function drain(told: () => void): Promise<Ended> {
  if (!navigator.locks) return run(told)
  return navigator.locks.request(channelName, () => run(told))
}

async function run(told: () => void): Promise<Ended> {
  const d = await db()
  await prune(d)
  for (;;) {
    const all = await d.getAllFromIndex('acts', 'n')
    // Read before each act, and its token or account goes with the act: at another sign-on the rest stays.
    const who = await session()
    const owner = who && ownerOf(who)
    // Whoever was sending has ended, or it would hold the lock: its answer is lost, the key is not.
    const next = all.find((a) => (a.state === 'waiting' || a.state === 'sending') && ofOwner(a, owner) && ready(a, all))
    if (!next) return 'idle'
    const missing = (next.after ?? []).find((id) => !all.some((a) => a.id === id))
    if (missing) {
      await change(d, next.id, next.key, { state: 'refused', problem: { status: 0, code: 'needs', detail: '' } }, told)
      continue
    }
    await change(d, next.id, next.key, { state: 'sending' }, told)
    const ended = await send(d, next, all, who, told)
    if (ended) return ended
  }
}

/** ready reports whether all that an act needs is done. What is gone from the phone is found out later. */
export function ready(a: Act, all: Act[]): boolean {
  return (a.after ?? []).every((id) => {
    const before = all.find((x) => x.id === id)
    return !before || before.state === 'done'
  })
}

async function send(d: DB, a: Act, all: Act[], who: Session | undefined, told: () => void): Promise<Ended | undefined> {
  let res: Response, answer: unknown
  try {
    const answerOf = (id: string) => all.find((x) => x.id === id)?.answer
    const path = fill(a.path, (id) => answerOf(id))
    const body = a.photo ? (await d.get('photos', a.photo))?.blob : fill(a.body, answerOf)
    if (a.photo && !body) throw new Error('the picture is not on this phone any more')
    res = await ask(path, { method: a.method, body, key: a.key, as: who ?? { token: '' }, within: a.photo ? 90_000 : undefined })
    if (res.ok) answer = await whole(res)
  } catch (err) {
    if (err instanceof Unreachable) {
      await change(d, a.id, a.key, { state: 'waiting', tries: a.tries + 1, error: String(err.message) }, told)
      return 'unreachable'
    }
    await change(d, a.id, a.key, { state: 'refused', problem: { status: 0, code: 'needs', detail: String((err as Error).message) } }, told)
    return undefined
  }
  if (res.ok) {
    await change(d, a.id, a.key, { state: 'done', answer, done: new Date().toISOString(), problem: undefined, error: undefined }, told)
    return undefined
  }
  const p = await problemOf(res)
  const problem = { status: p.status, code: p.code, detail: p.detail }
  if (p.status === 401 || p.code === 'change_wanted') {
    await change(d, a.id, a.key, { state: 'waiting', error: p.detail }, told)
    return 'unauthorized'
  }
  if (passing(p.status) && !(p.status === 500 && a.tries + 1 >= internalTries)) {
    await change(d, a.id, a.key, { state: 'waiting', tries: a.tries + 1, error: p.detail }, told)
    return 'unreachable'
  }
  await change(d, a.id, a.key, { state: 'refused', tries: a.tries + 1, problem, error: undefined }, told)
  return undefined
}

/** whole reads an answer to its end: one that broke off is no answer. */
async function whole(res: Response): Promise<unknown> {
  let text: string
  try {
    text = await res.text()
  } catch (err) {
    throw new Unreachable(String(err))
  }
  try {
    return text ? JSON.parse(text) : null
  } catch {
    return null
  }
}

/** change writes to an act unless a person has changed (another key) or dropped it meanwhile. */
async function change(d: DB, id: string, key: string, to: Partial<Act>, told: () => void): Promise<void> {
  const tx = d.transaction('acts', 'readwrite')
  const now = await tx.store.get(id)
  if (now && now.key === key) await tx.store.put({ ...now, ...to })
  await tx.done
  told()
}

/** prune forgets what was done long ago and that no open act needs. */
async function prune(d: DB, now = Date.now()): Promise<void> {
  const tx = d.transaction(['acts', 'photos'], 'readwrite')
  const all = await tx.objectStore('acts').index('n').getAll()
  const needed = new Set(all.filter((a) => a.state !== 'done').flatMap((a) => a.after ?? []))
  for (const a of all) {
    if (a.state !== 'done') continue
    if (a.photo) await tx.objectStore('photos').delete(a.photo)
    if (!needed.has(a.id) && now - Date.parse(a.done ?? a.at) > keepDone) await tx.objectStore('acts').delete(a.id)
  }
  await tx.done
}
