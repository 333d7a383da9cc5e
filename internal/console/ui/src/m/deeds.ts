// What a technician does, as acts of the queue: made on the phone with its own ids, so that the
// order point → claim → visit → photos → steps → finish stands before any server has answered.
import { bothOf } from './words'
import { newId } from '../lib/id'
import type { Act, NewAct } from '../lib/phone/act'
import { by } from '../lib/phone/net.svelte'
import { acts, enqueue, keepPhoto } from '../lib/phone/queue.svelte'
import type { StepState } from './model'
import { follow } from './follow'
import { sessionOf } from './visit/session'

const put = (a: NewAct): Promise<Act> => enqueue({ ...a, after: [...(a.after ?? []), ...follow(acts(), a)] })

const now = () => new Date().toISOString()
const seg = encodeURIComponent

export interface NewPoint {
  kind: string
  name: string
  building?: string
  floor?: string
  room?: string
  address?: string
  lon: number
  lat: number
  cell?: string
}

export const newPointId = (): string => 'p-' + newId().slice(0, 12)

export function createPoint(id: string, p: NewPoint): Promise<Act> {
  return put({
    kind: 'point.create', title: bothOf('deed.point', { name: p.name }), method: 'POST', path: '/points',
    body: { id, ...p, crs: 'WGS84', by: by(), at: now() }, about: { point: id }, look: '/points/' + seg(id), mend: '#/points/new?act=',
  })
}

export interface NewClaim {
  device: string
  point: string
  profile: string
  channel?: string
}

export function claim(c: NewClaim): Promise<Act> {
  return put({
    kind: 'device.claim', title: bothOf('deed.claim', { device: c.device }), method: 'POST', path: `/devices/${seg(c.device)}/claim`,
    body: { profile: c.profile, installations: [{ channel: c.channel || 'main', point: c.point }], by: by(), at: now() },
    about: { device: c.device, point: c.point }, look: '/devices/' + seg(c.device), mend: `#/claim?device=${seg(c.device)}&point=${seg(c.point)}&act=`,
  })
}

export interface NewSwap {
  old: string
  with: string
  point: string
  profile: string
  reason: string
}

export function swap(s: NewSwap): Promise<Act> {
  return put({
    kind: 'device.replace', title: bothOf('deed.swap', { old: s.old, new: s.with }), method: 'POST', path: `/devices/${seg(s.old)}/replace`,
    body: { with: s.with, profile: s.profile, reason: s.reason, by: by(), at: now() },
    about: { device: s.old, point: s.point }, look: '/devices/' + seg(s.old), mend: `#/swap?old=${seg(s.old)}&point=${seg(s.point)}&with=${seg(s.with)}&act=`,
  })
}

export function move(device: string, point: string, name: string): Promise<Act> {
  return put({
    kind: 'device.move', title: bothOf('deed.move', { device, name }), method: 'POST', path: `/devices/${seg(device)}/move`,
    body: { point, by: by(), at: now() }, about: { device, point }, look: '/devices/' + seg(device),
  })
}

export function retire(device: string, reason: string): Promise<Act> {
  return put({ kind: 'device.retire', title: bothOf('deed.retire', { device }), method: 'POST', path: `/devices/${seg(device)}/retire`, body: { reason, by: by(), at: now() }, about: { device }, look: '/devices/' + seg(device) })
}

export function revive(device: string, reason: string): Promise<Act> {
  return put({ kind: 'device.revive', title: bothOf('deed.revive', { device }), method: 'POST', path: `/devices/${seg(device)}/revive`, body: { reason, by: by(), at: now() }, about: { device }, look: '/devices/' + seg(device) })
}

export function bar(device: string, reason: string, stolen: boolean): Promise<Act> {
  return put({ kind: 'device.bar', title: bothOf('deed.bar', { device }), method: 'POST', path: `/devices/${seg(device)}/bar`, body: { reason, stolen, by: by(), at: now() }, about: { device }, look: '/devices/' + seg(device) })
}

export function ignore(device: string, reason: string): Promise<Act> {
  return put({ kind: 'device.ignore', title: bothOf('deed.ignore', { device }), method: 'POST', path: `/discovered/${seg(device)}/ignore`, body: { reason, by: by() }, about: { device } })
}

export function note(about: { point?: string; device?: string }, text: string): Promise<Act> {
  const path = about.device ? `/devices/${seg(about.device)}/notes` : `/points/${seg(about.point!)}/notes`
  return put({ kind: 'note', title: bothOf('deed.note', { text: text.slice(0, 40) }), method: 'POST', path, body: { text, by: by(), at: now() }, about })
}

/** Keeps a picture of a point and has it sent. In a visit its act is what the photo step names. */
export async function photo(picture: Blob, point: string, shows: string, visit?: string): Promise<Act> {
  const id = await keepPhoto(picture)
  return put({
    kind: 'photo', title: bothOf('deed.photo'), method: 'POST', path: `/points/${seg(point)}/photos?${new URLSearchParams({ shows, by: by().name, at: now() })}`, photo: id, about: { point, visit },
  })
}

export interface NewVisit {
  device: string
  point: string
  offline: boolean
}

export async function openVisit(v: NewVisit): Promise<string> {
  const id = newId()
  const session = v.offline ? undefined : await sessionOf(id)
  await put({
    kind: 'visit.open', title: bothOf('deed.visit', { device: v.device }), method: 'POST', path: '/visits',
    body: { id, ...v, session, started: now(), by: by() },
    about: { visit: id, device: v.device, point: v.point }, look: '/visits/' + id,
  })
  return id
}

export interface Done {
  step: string
  result: Exclude<StepState, 'waiting'>
  note?: string
  photo?: string
  value?: unknown
}

export function doStep(visit: { id: string; device: string; point: string }, d: Done, after: string[] = []): Promise<Act> {
  return put({
    kind: 'visit.step', title: bothOf('deed.step', { step: d.step }), method: 'POST', path: `/visits/${visit.id}/steps`,
    body: { ...d, at: now(), by: by() }, about: { visit: visit.id, device: visit.device, point: visit.point }, after, look: '/visits/' + visit.id,
  })
}

export interface Finish {
  verdict: 'pass' | 'fail'
  reasons?: string[]
  needs_gateway?: boolean
  name: string
}

export function finish(visit: { id: string; device: string; point: string }, f: Finish): Promise<Act> {
  const { name, ...rest } = f
  return put({
    kind: 'visit.finish', title: bothOf(f.verdict === 'pass' ? 'deed.finish' : 'deed.finish.fail', { device: visit.device }), method: 'POST', path: `/visits/${visit.id}/finish`,
    body: { ...rest, at: now(), by: { ...by(), name } }, about: { visit: visit.id, device: visit.device, point: visit.point }, look: '/visits/' + visit.id,
  })
}
