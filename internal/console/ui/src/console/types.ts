// What the server says, as far as more than one part of the console reads it. Fields that are
// absent are left out by the server, not null. Times are RFC 3339 texts.
export type Priority = 1 | 2 | 3 | 4
export type Mode = 'live' | 'test' | 'exercise' | 'simulated'

/** Of every list. */
export interface Page<T> {
  items: T[]
  next?: string
}

export interface Scope {
  district?: string
  street?: string
  community?: string
  compound?: string
  contractor?: string
}

export interface Actor {
  role: string
  name: string
  unit?: string
}

export type AlarmState = 'NORMAL' | 'UNACK' | 'ACK' | 'RTN_UNACK' | 'LATCHED_RTN'

/** Who has an alarm. */
export interface Taken {
  seat: string
  by: string
  at: string
}

/** How far the calling for somebody who takes an alarm has come. */
export interface Untaken {
  since: string
  seats?: string // all seats were told
  lead?: string // the duty lead was called
  why?: string
}

/** How an episode stands to the window that covers it. */
export interface Cover {
  window: string
  kind: string
  state: string
  due?: string
  [more: string]: unknown
}

export interface Alarm extends Scope {
  id: string
  type: string
  point?: string
  device?: string
  priority: Priority
  mode: Mode
  cell?: string
  building?: string
  active: boolean
  acked: boolean
  raised: string
  at: string
  returned?: string
  count: number
  ticket?: string
  previous?: string
  late?: boolean
  incident?: string
  acked_by?: string
  acked_at?: string
  ack_until?: string
  comment?: string
  latch?: boolean
  revision: number
  cover?: Cover
  taken?: Taken
  untaken?: Untaken
  state?: AlarmState // in lists; in the stream work it out with stateOf()
}

/** Alarms of one cause in one cell, as a flood shows them. */
export interface Herd {
  cell?: string
  cause: string
  building?: string
  mode: Mode
  count: number
  unacked: number
  worst: Priority
  oldest: string
  members: { id: string; revision: number; type: string; point?: string; priority: Priority; state: AlarmState; raised: string }[]
}

/** One line of the queue: an alarm, or in a flood a group. */
export interface Entry {
  alarm?: Alarm
  group?: Herd
  state: AlarmState
}

export interface Queue {
  flood: string | null
  alarms: number
  unacked: number
  held: number
  entries: Entry[]
  more?: number
}

export interface Assignment {
  id: string
  ticket: string
  unit: string
  lead: boolean
  tier: number
  state: string
  attempt: number
  since: string
  stand_down?: boolean
}

export interface TicketClock {
  name: string // verify, dispatch, accept, arrive, handle, check, total, tier3
  started: string
  due: string
  calendar?: string
  half?: string
  most?: string
  stopped?: string
  warned?: number
  fired?: boolean
}

export interface Ticket extends Scope {
  id: string
  case: string
  type: string
  priority: Priority
  mode: Mode
  cell?: string
  point?: string
  device?: string
  alarm: string
  incident?: string
  members?: { alarm: string; point?: string; at?: string; [more: string]: unknown }[]
  urgent?: boolean
  state: string
  verification: string
  tier: number
  rework: number
  returns: number
  opened: string
  resolved?: string
  confirmed?: string
  closed?: string
  due?: string
  overdue?: boolean
  warned?: number
  title: string
  place: string
  assignments: Assignment[] | null // null: no unit has it yet
  clocks?: TicketClock[]
  tasks?: Record<string, unknown>[]
  chains?: Record<string, unknown>[]
  asked?: Record<string, unknown>
  suspect?: string
  moves: number
  revision: number
  [more: string]: unknown
}

export interface Delivery extends Scope {
  id: string
  n: number
  ticket: string
  assignment: string
  unit: string
  connector: string
  type: string
  priority: Priority
  mode: Mode
  lane: string
  created: string
  state: string
  attempts: number
  next?: string
  status?: number
  error?: string
  done?: string
}

/** A transport, or a peer behind one. */
export interface Link {
  name: string
  transport: string
  source: string
  kind: string
  address?: string
  device?: string
  up: boolean
  since?: string
  problem?: string
  frames: number
  per_minute: number
  last_frame?: string
  last_error?: string
  last_error_at?: string
  detail?: string
  peers: number
  peers_up: number
}

export interface Posture {
  id: string
  posture: string // normal, festival, typhoon, heavy_rain, cold_wave
  from: string
  to: string
  reason?: string
  by?: Actor
}

export interface Window extends Scope {
  id: string
  kind: string
  points?: string[]
  from: string
  to: string
  reason?: string
  by: Actor
  holder?: string
  patrol?: string
  ended?: string
  mode: Mode
  [more: string]: unknown
}

/** Whether simulators may drive the gateway, and how fast its city's time runs. */
export interface Simulation {
  allowed: boolean
  speed: number
  now: string
}

export interface System {
  version: string
  started: string
  now: string
  engine_time: string
  devices: number
  points: number
  open_tickets: number
  ready: boolean
  parts: Record<string, string>
  lanes: Lane[]
  disk: { free_bytes: number; total_bytes: number; reserve_held: boolean }
  engine: { frames: number; batches: number; commands: number; failed_commits: number; last_batch_ms: number; longest_batch_ms: number }
  influx?: { up: boolean; since: string; last_error?: string; written: number; rejected: number; queue_bytes: number; oldest?: string }
  process: { heap_bytes: number; goroutines: number }
  simulation?: Simulation
  lost_unackable: number
  unjournalled: number
}

export interface Lane {
  lane: string
  head: number
  first: number
  since?: string
  bytes: number
  segments: number
  waiting: number
  refusing: boolean
  failed?: string
  last_commit_ms: number
  worst_commit_ms: number
  deliveries: number
  deaf: string[]
}
