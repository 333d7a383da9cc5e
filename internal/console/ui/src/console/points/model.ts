// What the server says of the registry.
import type { Actor, Mode, Scope } from '../types'

export type Text = { zh: string; en: string }

export interface Point extends Scope {
  id: string
  name: string
  kind: string
  cell?: string
  component?: string
  building?: string
  floor?: string
  room?: string
  address?: string
  lon?: number
  lat?: number
  placed?: string
  rules?: string
  mode?: Mode
  site?: string
  owner?: string
  privacy?: string
  state?: string // planned, active, pending, retired; empty is active
  notes?: string
}

export interface Building extends Scope {
  id: string
  name: string
  site?: string
  address?: string
  entrances?: string[]
  key_holder?: string
  floors?: number
  cell?: string
  retired?: string
}

export interface Device {
  identity: string
  profile: string
  state: string // registered, installed, barred, retired
  mode?: Mode
  interval_ns?: number
  installed?: string
  source?: string
  serial?: string
  label?: string
  firmware?: string
  hardware?: string
  battery?: { type?: string; cells?: number; fitted?: string }
  bought?: string
  warranty?: string
  owner?: string
  notes?: string
  why?: string
  since?: string
  stolen?: boolean
  replaced_by?: string
  last_point?: string
}

export interface Health {
  last_heard?: string
  frames: number
  duplicates: number
  counter?: number
  offline: boolean
  gone?: boolean
  clock_off?: boolean
  next_due?: string
  battery_pct?: number
  battery_days?: number
  rssi_dbm?: number
  snr_db?: number
  lane?: string
}

export interface Installation {
  device: string
  channel: string
  point: string
  from: string
  to?: string
}

export interface DeviceView extends Device {
  installations: Installation[]
  health?: Health
}

export interface LiveValue {
  signal: string
  value: number
  at: string
  received: string
  since?: string
  device: string
  channel?: string
  suspect?: boolean
}

export interface Change {
  id: string
  at: string
  recorded: string
  by: Actor
  via: string
  action: string
  kind: string
  subject: string
  point?: string
  device?: string
  reason?: string
  before?: Record<string, unknown>
  after?: Record<string, unknown>
}

export interface Photo {
  id: string
  point: string
  bytes: number
  type: string
  shows: string
  note?: string
  by: Actor
  at: string
}

export interface Visit {
  id: string
  device: string
  point: string
  state: string // open, pending, passed, failed
  offline?: boolean
  started: string
  decided?: string
  due?: string
  steps: { id: string; title: Text; must: boolean; state: string; detail?: Text; value?: string }[]
  reasons: Text[]
  by: Actor
  signed?: { verdict: string; by: Actor; at: string }
  signal: { rssi_dbm?: number; snr_db?: number; margin_db?: number; enough: boolean; battery?: number }
}

export interface Sample {
  at: string
  value: number
}

export interface Frame {
  pos?: string
  device?: string
  transport: string
  source: string
  address?: string
  envelope?: string
  flags?: string[]
  note?: string
  received: string
  bytes: number
  raw: string
}

export interface Reading {
  signal: string
  channel?: string
  value: number | boolean
  uom?: string
  at?: string
  history?: boolean
  suspect?: boolean
}

export interface Decoded {
  profile: string
  readings: Reading[]
  sequence?: number
  time?: string
  restart?: boolean
  answer?: boolean
  warnings: string[]
}

export const kinds = ['smoke', 'manhole', 'door', 'parking'] as const

/** Conditions are true or false; the others are values with a unit of measure. */
const measures: Record<string, string> = {
  'manhole.tilt': '°', 'manhole.level': 'm', 'smoke.density': '%/m', 'battery.level': '%', 'battery.voltage': 'V', temperature: '℃', rssi: 'dBm', snr: 'dB', 'battery.days': 'd', 'manhole.gap': 'm',
}

export const unitOf = (signal: string): string => measures[signal] ?? ''
export const isCondition = (signal: string): boolean => !(signal in measures)

/** What a point of a kind may have a past of, before anything was heard. */
export const signalsOf: Record<string, string[]> = {
  smoke: ['smoke.alarm', 'smoke.density', 'battery.level'],
  manhole: ['manhole.open', 'manhole.tilt', 'manhole.level', 'battery.level'],
  door: ['door.open', 'battery.level'],
  parking: ['parking.occupied', 'battery.level'],
}

const seg = encodeURIComponent
export const pointPath = (id: string, rest = '') => `/points/${seg(id)}${rest}`
export const devicePath = (id: string, rest = '') => `/devices/${seg(id)}${rest}`

/** placeWords is where a point is, as one would say it. */
export function placeWords(p: Point, building?: { name: string }): string {
  return [p.address, building?.name ?? p.building, p.floor, p.room].filter(Boolean).join(' ')
}
