// Maintenance windows of this phone, and the question that they ask. A window lives on the
// server alone: nothing of it is queued, since "is it you?" has 60 s.
import { call, get, Problem, stream } from '../lib/api'
import { setSetting, setting } from '../lib/db'
import { newId } from '../lib/id'
import { by, me, net, onBack } from '../lib/phone/net.svelte'
import type { Items } from './work'

export interface Window {
  id: string
  kind: string
  points?: string[]
  from: string
  to: string
  ended?: string
  reason?: string
}

/** An alarm of a point in a window, which nobody has answered for. */
export interface Question {
  id: string
  type: string
  point: string
  due: string
  window: string
}

interface Alarm {
  id: string
  type: string
  point: string
  cover?: { window: string; state: string; due?: string }
}

const now = $state<{ open: Window[]; asked: Question[] }>({ open: [], asked: [] })
/** Sessions by window: who has one may say "it is me". */
let sessions: Record<string, string> = {}

export const openWindows = (): Window[] => now.open
export const questions = (): Question[] => now.asked

const touchEvery = 30_000
const askEvery = 3_000

/** startWindows goes on with the windows that this phone has open. */
export async function startWindows(): Promise<() => void> {
  sessions = (await setting<Record<string, string>>('windows')) ?? {}
  onBack(() => void look())
  await look()
  const touch = setInterval(() => void touchAll(), touchEvery)
  const poll = setInterval(() => now.open.length > 0 && net() === 'online' && !streaming && void look(), askEvery)
  return () => {
    clearInterval(touch)
    clearInterval(poll)
    listening?.abort()
  }
}

/** look reads how the windows and their questions stand. */
export async function look(): Promise<void> {
  if (!me() || Object.keys(sessions).length === 0) {
    now.open = []
    now.asked = []
    return
  }
  const open: Window[] = []
  const asked: Question[] = []
  for (const id of Object.keys(sessions)) {
    try {
      const w = await get<Window>('/windows/' + id)
      if (w.ended) {
        delete sessions[id]
        continue
      }
      open.push(w)
      const page = await get<Items<Alarm>>(`/windows/${id}/questions`)
      for (const a of page.items) asked.push({ id: a.id, type: a.type, point: a.point, due: a.cover?.due ?? '', window: id })
    } catch (err) {
      if (err instanceof Problem && err.status === 404) delete sessions[id]
      else if (now.open.some((w) => w.id === id)) open.push(now.open.find((w) => w.id === id)!)
    }
  }
  now.open = open
  now.asked = asked
  await setSetting('windows', { ...sessions })
  if (open.length > 0) void listen()
  else listening?.abort()
}

let listening: AbortController | undefined
let streaming = false

/** listen hears at once when an alarm asks; while the line is down, look asks every few seconds. */
async function listen(): Promise<void> {
  if (listening) return
  listening = new AbortController()
  try {
    streaming = true
    await stream('/stream', (m) => {
      if (m.event === 'alarm' || m.event === 'window') void look()
    }, listening.signal)
  } catch {
    // polled until the next look begins anew
  } finally {
    streaming = false
    listening = undefined
  }
}

async function touchAll(): Promise<void> {
  for (const w of now.open) await call(`/windows/${w.id}/touch`, { method: 'POST', body: { session: sessions[w.id] } }).catch(() => undefined)
}

/** openWindow opens one; key makes a second try the same window. */
export async function openWindow(points: string[], minutes: number, reason: string, key: string): Promise<Window> {
  const session = newId()
  // Kept before it is sent: should the answer be lost, the same key and session give the same window.
  const kept = (await setting<{ key: string; session: string }>('window.wish')) ?? { key: '', session: '' }
  const wish = kept.key === key ? kept : { key, session }
  await setSetting('window.wish', wish)
  const w = await call<Window>('/windows', { method: 'POST', key, body: { kind: 'maintenance', points, for: `${minutes}m`, reason, session: wish.session, by: by() } })
  sessions[w.id] = wish.session
  await setSetting('windows', { ...sessions })
  await look()
  return w
}

export async function extendWindow(w: Window, minutes: number): Promise<void> {
  const to = new Date(Date.parse(w.to) + minutes * 60_000).toISOString()
  await call(`/windows/${w.id}/extend`, { method: 'POST', key: newId(), body: { to, reason: w.reason ?? '', by: by() } })
  await look()
}

export async function endWindow(w: Window): Promise<void> {
  await call(`/windows/${w.id}/end`, { method: 'POST', key: newId(), body: { by: by() } })
  await look()
}

/** adoptWindow takes on a window that a visit has opened with a session of this phone. */
export async function adoptWindow(id: string, session: string): Promise<void> {
  if (sessions[id] === session) return
  sessions[id] = session
  await setSetting('windows', { ...sessions })
  await look()
}

/** answer says yes or no to an alarm's question. */
export async function answer(q: Question, yes: boolean): Promise<void> {
  await call(`/alarms/${encodeURIComponent(q.id)}/answer`, { method: 'POST', body: { answer: yes ? 'yes' : 'no', session: sessions[q.window], by: by() } })
  now.asked = now.asked.filter((x) => x.id !== q.id)
  void look()
}
