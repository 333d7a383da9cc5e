import { newId } from '../../lib/id'
import { moment } from '../time'
import { api, by } from '../session.svelte'
import { t } from '../texts/alarms'
import { failed, toast } from '../toasts.svelte'
import type { Alarm, Window } from '../types'
import type { Seen } from './rows'

interface AckedAll {
  acked: Alarm[]
  refused?: { id: string; why: string }[]
}

const most = 1_000 // the server takes so many at once

/** ack acknowledges alarms, each as it was shown; what has changed since is left alone, and said. It says whether all were. */
export async function ack(seen: Seen[], comment = ''): Promise<boolean> {
  if (seen.length === 0) {
    toast(t('said.nothing'))
    return true
  }
  let acked = 0
  let refused = 0
  try {
    for (let i = 0; i < seen.length; i += most) {
      const got = await api<AckedAll>('/alarms/ack', { method: 'POST', body: { alarms: seen.slice(i, i + most), comment: comment || undefined, by: by() } })
      acked += got.acked?.length ?? 0
      refused += got.refused?.length ?? 0
    }
  } catch (err) {
    failed(err)
    return false
  }
  if (acked > 0) toast(t('said.acked', { n: acked }), { tone: 'good' })
  if (refused > 0) toast(t('said.refused', { n: refused }), { tone: 'bad' })
  return refused === 0
}

export async function comment(id: string, words: string): Promise<void> {
  await api('/alarms/' + encodeURIComponent(id) + '/comment', { method: 'POST', body: { comment: words, by: by() } })
  toast(t('said.comment'), { tone: 'good' })
}

/** hold shelves an alarm's point for its type, or takes the point out of service. It can be taken back. */
export async function hold(kind: 'shelved' | 'out_of_service', a: { point?: string; type: string }, how: { for: string; reason: string; patrol?: string }): Promise<void> {
  const w = await api<Window>('/windows', {
    method: 'POST', key: newId(),
    body: { kind, points: [a.point], types: kind === 'shelved' ? [a.type] : undefined, for: how.for, reason: how.reason, patrol: how.patrol || undefined, by: by() },
  })
  toast(t(kind === 'shelved' ? 'said.shelved' : 'said.out', { at: moment(w.to) }), { tone: 'good', undo: () => endWindow(w.id) })
}

export async function endWindow(id: string): Promise<void> {
  await api('/windows/' + encodeURIComponent(id) + '/end', { method: 'POST', body: { by: by() } })
  toast(t('said.ended'))
}
