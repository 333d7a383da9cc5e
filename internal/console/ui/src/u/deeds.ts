// What a unit's person does, as acts of the queue: the acts of one ticket go one after another.
import { ref } from '../lib/phone/act'
import { by } from '../lib/phone/net.svelte'
import { acts, enqueue } from '../lib/phone/queue.svelte'
import type { Act } from '../lib/phone/act'
import { partOf, type Ticket, type Verb } from './need'
import { bothOf, type Key } from './texts'

const open = (ticket: string): Act[] => acts().filter((a) => a.about?.ticket === ticket && a.state !== 'done')

/** Move is what goes with a verb. */
export interface Move {
  reason?: string
  unit?: string
  finding?: 'true' | 'false' | 'unable'
  on_site?: boolean
  evidence?: string
}

export function move(t: Ticket, unit: string, verb: Verb, m: Move = {}): Promise<Act> {
  const part = partOf(t, unit)
  const key: Key = verb === 'verify' && m.finding ? `ticket.${m.finding}` : `ticket.${verb}`
  const title = (lang: 'zh' | 'en') => bothOf('ticket.act', { verb: bothOf(key)[lang], ticket: t.place || t.case })[lang]
  const last = open(t.id).filter((a) => a.kind === 'ticket.move').at(-1)
  return enqueue({
    kind: 'ticket.move', title: { zh: title('zh'), en: title('en') }, method: 'POST', path: `/tickets/${encodeURIComponent(t.id)}/moves`,
    // The attempt: what was done before a rework is no answer to it.
    body: { verb, ...m, ...(verb === 'verify' || verb === 'note' || verb === 'confirm' || !part ? {} : { attempt: part.attempt }), by: by() },
    about: { ticket: t.id, point: t.point }, look: `/tickets/${encodeURIComponent(t.id)}`, after: last ? [last.id] : [],
  })
}

/** addPhoto sends a picture that is kept on this phone. */
export function addPhoto(t: Ticket, photo: string, shows: 'before' | 'after'): Promise<Act> {
  return enqueue({
    kind: 'photo', title: bothOf('ticket.photo.act', { ticket: t.place || t.case }), method: 'POST', path: `/tickets/${encodeURIComponent(t.id)}/evidence?shows=${shows}`, photo,
    about: { ticket: t.id, point: t.point },
  })
}

/** photoAsEvidence is how a later act names the newest picture of a ticket on this phone. */
export function photoAsEvidence(ticket: string): string | undefined {
  const a = acts().filter((x) => x.kind === 'photo' && x.about?.ticket === ticket && x.state !== 'refused').at(-1)
  return a && 'file:' + ref(a)
}
