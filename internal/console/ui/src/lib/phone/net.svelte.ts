import { call, onAnswer, passing, Problem } from '../api'
import { changeHands, db, session, type Session } from '../db'
import { ownerOf, sameOwner } from './act'
import { app } from './app'

type Net = 'online' | 'offline' | 'unknown'

const now = $state<{ net: Net; session: Session | undefined; refusedToken: boolean }>({ net: 'unknown', session: undefined, refusedToken: false })
const backs: (() => void)[] = []
let timer: ReturnType<typeof setTimeout> | undefined
let wait = 0
const channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('gridgate-session-' + app)

/** net is what the last request found: the browser's own word is only a hint. */
export const net = (): Net => now.net
export const isOnline = (): boolean => now.net !== 'offline'

/** onBack calls fn each time the server answers again. */
export function onBack(fn: () => void): void {
  backs.push(fn)
}

export const me = (): Session | undefined => now.session
/** refusedToken says that the server does not take the token or the session any more: sign on again, nothing is lost. */
export const refusedToken = (): boolean => now.refusedToken
export function signedOff(): void {
  now.refusedToken = true
}

/** by is who acts, as the API wants it. */
export function by(): { name: string; role: string } {
  return { name: now.session?.name ?? '', role: now.session?.role ?? 'technician' }
}

/** signOn begins with a session. After another unit's or person's it says so: the page must be loaded anew, with nothing of the other's in it. */
export async function signOn(s: Session): Promise<boolean> {
  const was = await session()
  const other = Boolean(was) && !sameOwner(ownerOf(was!), ownerOf(s))
  if (other) await changeHands()
  await (await db()).put('session', $state.snapshot(s) as Session, 'me')
  if (other) {
    channel?.postMessage('changed')
    return true
  }
  now.session = s
  now.refusedToken = false
  for (const fn of backs) fn()
  return false
}

export function signOff(): void {
  now.session = undefined
  now.refusedToken = false
}

/** Whose session of the server's is still to be ended: its cookie is out of a script's reach. */
const ending = 'gridgate.session.ending'

/** endLater has the session of an account end, now or as soon as the server answers. */
export async function endLater(account: { id: string } | undefined): Promise<boolean> {
  if (account) localStorage.setItem(ending, account.id)
  return endNow()
}

/** endNow ends the session that is to end, if there is one; false: the server has not heard of it yet. */
export async function endNow(): Promise<boolean> {
  const id = localStorage.getItem(ending)
  if (!id) return true
  try {
    await call('/session', { method: 'DELETE', as: { token: '', account: { id } }, within: 5_000 })
  } catch (err) {
    if (!(err instanceof Problem) || passing(err.status)) return false
  }
  localStorage.removeItem(ending) // it is over, or the cookie is another person's
  return true
}

/** startNet watches the connection. Call it once. */
export async function startNet(): Promise<void> {
  now.session = await session()
  channel?.addEventListener('message', () => location.reload()) // another tab signed on as somebody else
  onBack(() => void endNow())
  onAnswer((answered, status, by) => {
    set(answered ? 'online' : 'offline')
    // What was asked before another sign-on says nothing of this one.
    if (now.session && status && (by as Partial<Session> | undefined)?.signed === now.session.signed) now.refusedToken = status === 401 || (now.refusedToken && status >= 400)
  })
  addEventListener('online', () => void probe())
  addEventListener('offline', () => set('offline'))
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void probe()
  })
  void probe()
  void endNow()
}

function set(to: Net): void {
  const was = now.net
  now.net = to
  clearTimeout(timer)
  if (to === 'offline') {
    wait = Math.min(30_000, Math.max(1_000, wait * 1.5))
    timer = setTimeout(() => void probe(), wait)
    return
  }
  wait = 0
  if (was === 'offline') for (const fn of backs) fn()
}

/** probe asks whether the server is there. */
export async function probe(): Promise<void> {
  try {
    const res = await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(8_000) })
    set(res.ok ? 'online' : 'offline')
  } catch {
    set('offline')
  }
}
