// What the server says of strangers, quarantine, profiles and imports.
import type { Actor, Scope } from '../types'
import type { Frame, Reading, Text } from '../points/model'

export interface Guess {
  profile: string
  score: number
  reason: string
  smoke?: boolean
  fire?: boolean
}

export interface Discovered {
  identity: string
  guess?: string
  reason?: string
  smoke?: boolean
  first: string
  last: string
  frames: number
  source?: string
  transport?: string
  guesses?: Guess[]
  ignored?: { reason: string; at: string; by: Actor }
}

export interface Stranger extends Omit<Discovered, 'frames'> {
  count: number
  signal?: { rssi_dbm?: number; snr_db?: number; gateways?: number }
  frames: { id: string; at: string; transport: string; source: string; rssi_dbm?: number; snr_db?: number; hex: string; port?: number; profile?: string; readings: Reading[]; error?: string; fire?: boolean }[]
}

export interface Quarantined extends Scope {
  id: string
  reason: string
  detail: string
  channel?: string
  guess?: string
  at: string
  state: string
  frame: Frame
}

export interface Profile {
  id: string
  vendor: string
  model: string
  version: string
  origin: string
  in_files?: string
  rollout?: { version: string; stage: string; share?: number }
  firmware?: string
  kinds: string[]
  codec: string
  interval: string
  signals: string[]
  ports?: number[]
  source?: string
}

export type Files = Record<string, string>

export interface ProfileDetail extends Profile {
  files: Files
  history?: Step[]
}

export interface Step {
  n: number
  version: string
  former?: string
  stage: string
  share?: number
  forced?: boolean
  by: Actor
  reason?: string
  detail?: string
  at: string
}

export interface Example {
  frame: string
  device: string
  received: string
  old?: string
  new?: string
}

export interface Diff {
  old?: string
  new: string
  frames: number
  same: number
  changed: number
  new_errors: number
  mended: number
  both_fail: number
  lost_alarms: number
  new_alarms: number
  fields: { field: string; channel?: string; same: number; changed: number; appeared: number; lost: number; examples?: Example[] }[]
  alarms?: (Example & { signal: string; channel?: string })[]
  errors?: Example[]
  mends?: Example[]
  quarantine?: { frames: number; mended: number }
  cut?: string
}

export interface Rollout {
  profile: string
  in_force?: string
  origin?: string
  in_files?: string
  running: boolean
  stage?: string
  version?: string
  share?: number
  devices?: string[]
  guard?: { frames: number; old_errors: number; new_errors: number }
  live?: Diff
  quarantined: number
  problem?: string
  extended_by?: string[]
  steps?: Step[]
}

export interface Import {
  id: string
  name?: string
  kind: string
  state: string
  dry_run?: boolean
  bytes: number
  rows: number
  good: number
  bad: number
  same: number
  changed: number
  added: number
  done: number
  kept?: number
  error?: string
  by: Actor
  at: string
  ended?: string
  problems?: ImportProblem[]
}

export interface ImportProblem {
  row: number
  column?: string
  value?: string
  problem: Text
}

export interface Downlink {
  id: string
  device: string
  order: Record<string, unknown>
  state: string
  created: string
  expires: string
  sent_at?: string
  ended_at?: string
  attempts: number
  way?: string
  answer?: string
  error?: string
  by: Actor
  reason?: string
}

export interface Credential {
  id: string
  kind: string
  fingerprint?: string
  created: string
  expires?: string
  ended?: string
  why_ended?: string
  last_used?: string
  state: string
  login?: string
}
