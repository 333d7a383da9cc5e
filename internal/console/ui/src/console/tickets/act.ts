import { ask, problemOf } from '../../lib/api'
import { newId } from '../../lib/id'
import { api, by, me } from '../session.svelte'
import type { Ticket } from '../types'

/** move makes one move. The key is the form's: sent again after a lost answer, it is done once. */
export function move(ticket: string, body: Record<string, unknown>, key = newId()): Promise<Ticket> {
  return api<Ticket>('/tickets/' + encodeURIComponent(ticket) + '/moves', { method: 'POST', key, body: { ...body, by: by() } })
}

export interface FileOf {
  id: string
  type: string
  bytes: number
  shows?: string
  note?: string
  at: string
  by: { name: string }
  /** The bytes and the note are gone; what proves that they were there stays. */
  erased?: string
  erased_why?: string
}

/** attach keeps a photo or PDF with a ticket. */
export function attach(ticket: string, file: Blob, shows = ''): Promise<FileOf> {
  const body = new Blob([file], { type: 'application/octet-stream' })
  return api<FileOf>(`/tickets/${encodeURIComponent(ticket)}/evidence${shows ? '?shows=' + shows : ''}`, { method: 'POST', body, within: 60_000 })
}

/** content is a file's bytes, which no link can reach: it wants the token. */
export async function content(id: string): Promise<Blob> {
  const res = await ask('/evidence/' + encodeURIComponent(id), { token: me()?.token ?? '', within: 60_000 })
  if (!res.ok) throw await problemOf(res)
  return res.blob()
}

/** reveal reads a contact's number; that it was read is kept. */
export const reveal = (contact: string): Promise<{ number: string; name?: string }> =>
  api('/contacts/' + encodeURIComponent(contact) + '/reveal', { method: 'POST', body: { by: by() } })
