// What the server answers, as far as the screens in the field read it.
import type { Both } from './i18n'

export type Kind = 'door' | 'parking' | 'manhole' | 'smoke'
export const kinds: Kind[] = ['smoke', 'door', 'manhole', 'parking']

export interface Page<T> {
  items: T[]
  next?: string
}

export interface Point {
  id: string
  name: string
  kind: string
  street?: string
  cell?: string
  component?: string
  building?: string
  floor?: string
  room?: string
  address?: string
  lon?: number
  lat?: number
  crs?: string
  distance_m?: number
}

export interface Installation {
  device: string
  channel: string
  point: string
  from: string
  to?: string
}

export interface Device {
  identity: string
  profile: string
  state: 'registered' | 'installed' | 'barred' | 'retired'
  installations?: Installation[]
  health?: { last_heard?: string; battery_pct?: number; rssi_dbm?: number; snr_db?: number; offline?: boolean }
}

export interface Guess {
  profile: string
  score: number
  reason: string
}

export interface Reading {
  signal: string
  value: unknown
  uom?: string
  channel?: string
}

export interface Frame {
  at: string
  transport?: string
  source?: string
  rssi_dbm?: number
  snr_db?: number
  battery?: number
  port?: number
  hex?: string
  readings?: Reading[]
  profile?: string
  error?: string
}

export interface Discovered {
  identity: string
  guess?: string
  reason?: string
  first: string
  last: string
  frames: Frame[] | number
  transport?: string
  source?: string
  signal?: { rssi_dbm?: number; snr_db?: number }
  guesses?: Guess[]
  ignored?: unknown
}

/** The answer of POST /codes/read. */
export interface CodeAnswer {
  kind: string
  identity: string
  identities?: string[]
  maker?: string
  serial?: string
  profiles?: Guess[]
  point?: string
  secret?: boolean
  registered?: Device | null
  discovered?: Discovered | null
  warnings?: string[]
}

export type StepState = 'waiting' | 'passed' | 'failed' | 'skipped'
export type Needs = 'device' | 'person' | 'photo'

export interface PlanStep {
  id: string
  title: Both
  say?: Both
  needs: Needs
  check?: string // frame, signal, battery, on, off, moment, rest, person, position, photo
  must?: boolean
  shows?: string // of a photo: near, far, label…
  wait_s?: Record<string, number> // seconds per transport
}

export interface Plan {
  kind: string
  steps: PlanStep[]
}

export interface Link {
  name: string
  zh: string
  en: string
  first_s?: number
  act_s?: number
}

/** The answer of GET /commissioning. */
export interface Plans {
  kinds: Plan[]
  links?: Link[]
  pending_s?: number
}

export interface Step extends Omit<PlanStep, 'wait_s'> {
  state: StepState
  wait_s?: number
  detail?: Both | null
  at?: string
  note?: string
  /** What a person said of a step that only the device can prove. */
  said?: unknown
  /** Done on this phone, not yet at the server. */
  local?: boolean
}

export interface Visit {
  id: string
  device: string
  point: string
  kind: string
  state: 'open' | 'pending' | 'passed' | 'failed'
  started?: string
  due?: string
  offline?: boolean
  link?: string
  steps: Step[]
  reasons?: Both[]
  frames?: Frame[]
  signal?: { rssi_dbm?: number; snr_db?: number; margin_db?: number; link?: string; frames?: number; enough?: boolean; battery?: number }
  needs_gateway?: boolean
  signed?: { by?: { name?: string }; at?: string } | null
  question?: { alarm: string; due?: string; asked?: string } | null
  window?: { id: string; to?: string } | null
}
