import type { Mode, Scope } from '../types'

/** GET /points/{id}, as far as the map reads it. */
export interface Point extends Scope {
  id: string
  name: string
  kind: string
  cell?: string
  building?: string
  floor?: string
  room?: string
  address?: string
  lon?: number
  lat?: number
  mode?: Mode
}

/** GET /points/{id}/live. */
export interface LiveValue {
  signal: string
  value: number
  at: string
  device: string
  channel?: string
  suspect?: boolean
}
