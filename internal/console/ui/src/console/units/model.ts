import type { Delivery, Page } from '../types'
import { texts } from '../texts/units'

/** A unit and how it stands, as GET /units/state says. */
export interface UnitState {
  id: string
  name: string
  kind: string
  tier: number
  mode?: string
  district?: string
  street?: string
  community?: string
  compound?: string
  connector: string
  url?: string
  phone?: string
  entry?: string
  backup?: string
  quiet?: string
  digest?: boolean
  unreached?: string
  alarm?: string
  ticket?: string
  channel?: { tested?: string; due: string; fails: number; problem?: string }
  rostered: boolean
  duty: string[]
  fallback?: string
  waiting: number
  dead: number
  tickets: number
  overdue: number
}

export interface Try {
  n: number
  at: string
  took_ns: number
  status?: number
  error?: string
  detail?: string
}

export type DeliveryView = Delivery & { tries: Try[] }
export type Units = Page<UnitState>

type Why = Extract<keyof typeof texts, `why.${string}`>

/** whyOf says in words what stopped a delivery; the connector's own sentence stands below it. */
export function whyOf(d: { status?: number; error?: string }): Why {
  const said = d.error ?? ''
  if (/connection refused/i.test(said)) return 'why.refused'
  if (/no such host|lookup /i.test(said)) return 'why.dns'
  if (/not allowed|private|loopback/i.test(said)) return 'why.barred'
  if (/certificate|x509|tls:/i.test(said)) return 'why.tls'
  if (/timeout|deadline/i.test(said)) return 'why.timeout'
  if (d.status === 401 || d.status === 403) return 'why.token'
  if (d.status === 404 || d.status === 410) return 'why.gone'
  if (d.status && d.status >= 500) return 'why.server'
  if (d.status && d.status >= 400) return 'why.body'
  return 'why.other'
}
