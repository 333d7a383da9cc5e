import { newId } from '../../../lib/id'
import { api, by } from '../../session.svelte'
import { t } from '../../texts/forms'
import { moment } from '../../time'
import { toast } from '../../toasts.svelte'
import type { Alarm, Window } from '../../types'
import { bodyOf, familyOf, type NewWindow } from './windows'

const pathOf = (w: { id: string; kind: string }) => `/${familyOf(w.kind)}/${encodeURIComponent(w.id)}`

export async function open(n: NewWindow, key: string): Promise<Window> {
  const w = await api<Window>('/' + familyOf(n.kind), { method: 'POST', key, body: { ...bodyOf(n), by: by() } })
  toast(t('w.said.opened', { at: moment(w.to) }), { tone: 'good', undo: async () => void (await end(w, t('undo.reason'))) })
  return w
}

export async function extend(w: Window, hours: number, reason: string): Promise<Window> {
  const out = await api<Window>(pathOf(w) + '/extend', { method: 'POST', key: newId(), body: { for: hours + 'h', reason: reason || undefined, by: by() } })
  toast(t('w.said.extended', { at: moment(out.to) }), { tone: 'good' })
  return out
}

export async function end(w: Window, reason: string): Promise<Window> {
  const out = await api<Window>(pathOf(w) + '/end', { method: 'POST', body: { reason: reason || undefined, by: by() } })
  toast(t('w.said.ended'))
  return out
}

/** answer says what who was asked has told the desk. */
export async function answer(alarm: string, yes: boolean): Promise<Alarm> {
  const out = await api<Alarm>('/alarms/' + encodeURIComponent(alarm) + '/answer', { method: 'POST', body: { answer: yes ? 'yes' : 'no', by: by() } })
  toast(t(yes ? 'q.said.yes' : 'q.said.no'), { tone: 'good' })
  return out
}
