import { live } from '../live.svelte'
import { api, by, me } from '../session.svelte'
import { t } from '../texts/duty'
import { failed, toast } from '../toasts.svelte'
import type { Alarm, Taken } from '../types'
import { mine, openSeats, seatOf, whyMine } from './seats.svelte'

/** What is taken: an alarm with all others of its ticket, or a ticket. */
export type Target = { alarm: string } | { ticket: string }

/** What is asked before it is done: whether it shall be taken from who has it, or why it is given back. */
export interface Asked {
  what: 'over' | 'back'
  target: Target
  taken: Taken
}

let asking = $state.raw<Asked>()
export const asked = (): Asked | undefined => asking
export const ask = (a: Asked | undefined): void => void (asking = a)

const path = (x: Target) => ('alarm' in x ? '/alarms/' + encodeURIComponent(x.alarm) : '/tickets/' + encodeURIComponent(x.ticket))

/** alarmsOf are the alarms of a ticket in the queue, as far as it names them. */
export const alarmsOf = (ticket: string): Alarm[] => live.queue.entries.flatMap((e) => (e.alarm?.ticket === ticket ? [e.alarm] : []))

/** takenOf is who has a ticket. */
export const takenOf = (ticket: string): Taken | undefined => alarmsOf(ticket).find((a) => a.taken)?.taken

/** isMine: this page's seat has it. */
export const isMine = (x: Taken | undefined): boolean => !!x && x.seat === mine().seat

/** mayAct: a wall takes nothing. */
export const mayAct = (): boolean => !!me() && !me()!.wall

/** take takes it for this page's seat. Without a seat that watches it opens the seats; where another has it, it asks first. */
export async function take(target: Target, had: Taken | undefined, over = false): Promise<boolean> {
  if (!mayAct()) return false
  const seat = mine().seat
  if (!seat || whyMine()) {
    toast(t('take.seat'), { tone: 'bad' })
    openSeats()
    return false
  }
  if (had && had.seat !== seat && !over) {
    ask({ what: 'over', target, taken: had })
    return false
  }
  try {
    await api<Alarm>(path(target) + '/take', { method: 'POST', body: { seat, over: over || undefined, by: by() } })
    toast(t('take.done'), { tone: 'good', undo: () => void giveBack(target, t('take.undone')) })
    return true
  } catch (err) {
    failed(err)
    return false
  }
}

/** giveBack lets others take it. */
export async function giveBack(target: Target, reason: string): Promise<boolean> {
  try {
    await api<Alarm>(path(target) + '/give-back', { method: 'POST', body: { seat: mine().seat, reason: reason || undefined, by: by() } })
    toast(t('back.done'), { tone: 'good' })
    return true
  } catch (err) {
    failed(err)
    return false
  }
}

/** mayGiveBack: who has it, and the lead for anybody. */
export const mayGiveBack = (x: Taken | undefined): boolean => !!x && mayAct() && (isMine(x) || me()?.role === 'supervisor')

/** seatName is what a seat is called. */
export function seatName(id: string, lang: 'zh' | 'en'): string {
  return seatOf(id)?.name[lang] || id
}

/** toSeats are the alarms that lie untaken and of which all seats were told, the worst first. */
export function toSeats(): Alarm[] {
  return live.queue.entries.flatMap((e) => (e.alarm?.untaken && (e.alarm.untaken.seats || e.alarm.untaken.lead) && !e.alarm.taken ? [e.alarm] : []))
}
