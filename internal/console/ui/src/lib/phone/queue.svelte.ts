import { db, session, type Photo } from '../db'
import { newId } from '../id'
import { ofOwner, ownerOf, refsOf, type Act, type NewAct } from './act'
import { app } from './app'
import { isOnline, me, onBack, probe, signedOff } from './net.svelte'
import { scaled } from './photo'
import { channelName, drain, type Ended } from './sender'

const shown = $state<{ acts: Act[]; lowSpace: boolean }>({ acts: [], lowSpace: false })

const own = $derived.by(() => {
  const s = me()
  return shown.acts.filter((a) => ofOwner(a, s && ownerOf(s)))
})

/** acts are all that the phone remembers of who is signed on, oldest first. What others did here is not laid over their screens. */
export const acts = (): Act[] => own
export const openActs = (): Act[] => own.filter((a) => a.state !== 'done')
export const actById = (id: string): Act | undefined => own.find((a) => a.id === id)
/** othersActs are what waits on this phone for another's sign-on than that of owner, oldest first. */
export const othersActs = (owner = me() && ownerOf(me()!)): Act[] => shown.acts.filter((a) => a.state !== 'done' && !ofOwner(a, owner))
/** lowSpace warns that the phone may soon not be able to keep pictures. */
export const lowSpace = (): boolean => shown.lowSpace

const channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel(channelName)

/** startQueue reads what is kept and sends what waits. Call it once, before the first screen. */
export async function startQueue(): Promise<void> {
  channel?.addEventListener('message', () => void refresh())
  onBack(() => void sync())
  await claimOld()
  await refresh()
  void sync()
}

/** claimOld gives the acts from before their owner was kept to who is signed on: nobody else can have been. */
async function claimOld(): Promise<void> {
  const s = await session()
  if (!s) return
  const tx = (await db()).transaction('acts', 'readwrite')
  for (const a of await tx.store.getAll()) if (!a.unit) await tx.store.put({ ...a, unit: ownerOf(s) })
  await tx.done
}

/** forget shows the list as it is on disk, which sign-out has emptied. */
export async function forget(): Promise<void> {
  clearTimeout(timer)
  told()
  await refresh()
}

let refreshing: Promise<void> | undefined
let again = false

/** refresh shows what is on disk; one reading at a time, and one more if it changed meanwhile. */
async function refresh(): Promise<void> {
  if (refreshing) {
    again = true
    return refreshing
  }
  refreshing = (async () => {
    do {
      again = false
      shown.acts = await (await db()).getAllFromIndex('acts', 'n')
    } while (again)
  })().finally(() => (refreshing = undefined))
  return refreshing
}

function told(): void {
  channel?.postMessage('changed')
  void refresh()
}

let running: Promise<Ended> | undefined
let more = false
let pause = 0
let timer: ReturnType<typeof setTimeout> | undefined

/** sync sends what waits, now. It ends when all is sent or the server does not answer. */
export async function sync(): Promise<Ended> {
  if (running) {
    more = true // what was added meanwhile
    return running
  }
  clearTimeout(timer)
  running = (async () => {
    let ended: Ended
    do {
      more = false
      ended = await drain(told)
    } while (more && ended === 'idle')
    return ended
  })()
  let ended: Ended = 'unreachable'
  try {
    ended = await running
  } finally {
    running = undefined
  }
  if (ended === 'unauthorized') signedOff()
  pause = ended === 'unreachable' ? Math.min(60_000, Math.max(2_000, pause * 2)) : 0
  if (pause) {
    timer = setTimeout(() => void sync(), pause * (0.75 + Math.random() / 2))
    void askLater()
    if (isOnline()) void probe()
  }
  await refresh()
  return ended
}

/** askLater has the browser wake the service worker when there is a network, app open or not. */
async function askLater(): Promise<void> {
  try {
    const reg = (await navigator.serviceWorker?.getRegistration(`/${app}/`)) as (ServiceWorkerRegistration & { sync?: { register(tag: string): Promise<void> } }) | undefined
    await reg?.sync?.register(channelName)
  } catch {
    // Not there or not allowed: the app sends when it is open.
  }
}

/**
 * enqueue keeps an act on this phone and then has it sent. When it returns, the act is on
 * disk: only then may the screen say that it is saved.
 */
export async function enqueue(a: NewAct): Promise<Act> {
  const signed = me()
  if (!signed) throw new Error('nobody is signed on')
  const wish = $state.snapshot(a) as NewAct
  const d = await db()
  const tx = d.transaction('acts', 'readwrite', { durability: 'strict' })
  const last = await tx.store.index('n').openCursor(null, 'prev')
  const act: Act = {
    ...wish, after: [...new Set([...(wish.after ?? []), ...refsOf([wish.path, wish.body])])],
    id: newId(), key: newId(), n: (last?.value.n ?? 0) + 1, at: new Date().toISOString(), unit: ownerOf(signed), state: 'waiting', tries: 0,
  }
  await tx.store.add(act)
  await tx.done
  await refresh()
  channel?.postMessage('changed')
  void keepForGood()
  void sync()
  return act
}

/** settled waits until an act is done or refused, or the signal fires: then it gives it as it is. */
export async function settled(id: string, signal?: AbortSignal): Promise<Act> {
  for (;;) {
    const a = await (await db()).get('acts', id)
    if (!a) throw new Error('this was dropped')
    if (a.state === 'done' || a.state === 'refused' || signal?.aborted) return a
    await changed(signal)
  }
}

/** changed waits for the next change of the list. */
function changed(signal?: AbortSignal): Promise<void> {
  return new Promise((go) => {
    const stop = $effect.root(() => {
      let first = true
      $effect(() => {
        void shown.acts
        if (!first) end()
        first = false
      })
    })
    const look = setTimeout(end, 1_000) // a change that came before we listened
    function end() {
      clearTimeout(look)
      stop()
      go()
    }
    signal?.addEventListener('abort', end, { once: true })
  })
}

/** dependents are the open acts that cannot be sent without this one. */
export function dependents(id: string, all: Act[] = shown.acts): Act[] {
  const out: Act[] = []
  for (const a of all) {
    const needs = a.after ?? []
    if (a.state !== 'done' && (needs.includes(id) || out.some((o) => needs.includes(o.id)))) out.push(a)
  }
  return out
}

/** mendAct sends an act again as the person has changed it. It was refused, so it is a new wish with a new key. */
export async function mendAct(id: string, changes: Partial<NewAct>): Promise<void> {
  await put(id, (a) => ({ ...a, ...($state.snapshot(changes) as Partial<NewAct>), key: a.state === 'refused' ? newId() : a.key, state: 'waiting', tries: 0, problem: undefined }))
  for (const a of dependents(id)) await put(a.id, (x) => (x.problem?.code === 'needs' ? { ...x, state: 'waiting', problem: undefined } : x))
  void sync()
}

/** retryAct sends a refused act again as it was. */
export async function retryAct(id: string): Promise<void> {
  await put(id, (a) => ({ ...a, state: 'waiting', tries: 0, problem: undefined }))
  void sync()
}

/** dropAct forgets an act that was not done, and those that need it. */
export async function dropAct(id: string): Promise<void> {
  await dropActs([id, ...dependents(id).map((a) => a.id)])
}

/** dropActs forgets these acts, as far as they are not done. */
export async function dropActs(gone: string[]): Promise<void> {
  const tx = (await db()).transaction(['acts', 'photos'], 'readwrite')
  for (const g of gone) {
    const a = await tx.objectStore('acts').get(g)
    if (!a || a.state === 'done') continue
    if (a.photo) await tx.objectStore('photos').delete(a.photo)
    await tx.objectStore('acts').delete(g)
  }
  await tx.done
  told()
  await refresh()
}

/** takeServers ends a conflict: what the server has stands, and what needed this act goes on from there. */
export async function takeServers(id: string, theirs: unknown): Promise<void> {
  await put(id, (a) => ({ ...a, state: 'done', taken: true, answer: theirs ?? {}, done: new Date().toISOString() }))
  void sync()
}

async function put(id: string, to: (a: Act) => Act): Promise<void> {
  const tx = (await db()).transaction('acts', 'readwrite', { durability: 'strict' })
  const a = await tx.store.get(id)
  if (a && a.state !== 'done' && a.state !== 'sending') await tx.store.put(to(a))
  await tx.done
  told()
  await refresh()
}

/** keepPhoto scales a picture down, takes its hidden data away and keeps it for sending. */
export async function keepPhoto(picture: Blob): Promise<string> {
  const photo: Photo = { id: newId(), blob: await scaled(picture), made: new Date().toISOString() }
  await (await db()).put('photos', photo)
  void keepForGood()
  return photo.id
}

/** photoUrl is an address for an <img>; revoke it when it is not shown any more. */
export async function photoUrl(id: string): Promise<string | undefined> {
  const p = await (await db()).get('photos', id)
  return p && URL.createObjectURL(p.blob)
}

let asked = false

/** keepForGood asks the browser not to throw our storage away, once there is something to lose. */
async function keepForGood(): Promise<void> {
  if (!navigator.storage?.estimate) return
  if (!asked) {
    asked = true
    await navigator.storage.persist?.().catch(() => false)
  }
  const { usage = 0, quota = 0 } = await navigator.storage.estimate()
  shown.lowSpace = quota > 0 && quota - usage < 50 << 20
}
