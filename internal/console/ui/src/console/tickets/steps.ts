import { colon } from '../../lib/words.svelte'
import { name } from '../texts/names'
import { actionWord, t, toldWord, verbWord } from '../texts/tickets'
import type { Task } from './stages'
import { said } from './taskWords'
import { unitName } from './units.svelte'

/** One line of a ticket's timeline, as the server tells it. */
export interface Step {
  at: string
  what: 'frame' | 'decoded' | 'event' | 'alarm' | 'ticket' | 'move' | 'delivery' | 'answer' | 'closed'
  detail: string
  data?: Record<string, any> // what it is about; its shape follows from what
}

export interface Reading {
  signal: string
  channel?: string
  value: unknown
  uom?: string
}

/** Which steps belong together when a person looks for something. */
export const kinds = { data: ['frame', 'decoded', 'event', 'alarm'], moves: ['ticket', 'move', 'closed'], sent: ['delivery', 'answer'] } as const

/** words is a step in the person's language; where it has no data the server's own sentence stays. */
export function words(s: Step, caseNo: string, state: string, tasks: Task[] = []): string {
  const d = s.data
  if (s.what === 'ticket') return t('says.opened', { case: caseNo })
  if (s.what === 'closed') return t('says.closed', { state: name('ticket', state) })
  if (s.what === 'alarm') return d ? t('says.began', { type: name('type', d.type) }) : t('says.back')
  if (!d) return s.detail
  switch (s.what) {
    case 'frame':
      return t('says.frame', { bytes: d.bytes, device: d.device, transport: d.transport })
    case 'decoded':
      return t('says.decoded', { profile: d.profile ?? '', n: (d.readings ?? []).length })
    case 'event':
      return t('says.event', { type: name('type', d.type), action: actionWord(d.action) }) + (d.detail ? colon() + said(d.detail, tasks) : '')
    case 'move': {
      const step = d.from && d.from !== d.to ? `${name('ticket', d.from)} → ${name('ticket', d.to)}` : ''
      return [verbWord(d.verb), step, said(d.reason, tasks), said(d.detail, tasks)].filter(Boolean).join(' · ')
    }
    case 'delivery':
      return t('says.delivery', { what: toldWord(d.type), unit: unitName(d.unit), connector: d.connector, state: name('delivery', d.state) })
    case 'answer': {
      const took = spent(d.took_ns)
      const how = d.error ? t('says.failed', { error: d.error, took }) : d.status ? t('says.status', { status: d.status, took }) : t('says.taken', { took })
      return t('says.answer', { n: d.n, how })
    }
  }
}

/** who did it: a person by name, the gateway by its part. */
export function who(s: Step): string {
  const by = s.data?.by as { role: string; name: string } | undefined
  if (!by) return ''
  return by.role === 'system' ? name('role', by.name) : by.role === 'unit' ? unitName(by.name) : `${by.name} · ${name('role', by.role)}`
}

function spent(ns: number | undefined): string {
  const ms = (ns ?? 0) / 1e6
  return ms < 1000 ? `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** hex parts the digits of a frame by bytes, so that they can be counted. */
export const hex = (raw: string): string => (raw.match(/../g) ?? []).join(' ')

/** text is a frame as text if all of it can be read, else "". */
export function text(raw: string): string {
  const bytes = Uint8Array.from(raw.match(/../g) ?? [], (x) => parseInt(x, 16))
  try {
    const s = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return /[\u0000-\u0008\u000e-\u001f\u007f]/.test(s) ? '' : s
  } catch {
    return ''
  }
}

/** heldOff is how long it took from the first frame to the alarm, in ms: the rule's hold-off, if it is worth telling. */
export function heldOff(steps: Step[]): number {
  const frame = steps.find((s) => s.what === 'frame')
  const alarm = steps.find((s) => s.what === 'alarm' && s.data)
  const ms = frame && alarm ? Date.parse(alarm.at) - Date.parse(frame.at) : 0
  return ms >= 1000 ? ms : 0
}
