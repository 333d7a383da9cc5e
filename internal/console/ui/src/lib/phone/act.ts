import type { Both } from '../both'

/** What a person does that the server must learn of, exactly once. */
export interface NewAct {
  kind: string // point.create, device.claim, device.replace, visit.open, visit.step, visit.finish, photo, note, ticket.move, stop.done, stop.no_entry, window.open, window.end…
  title: Both // in a person's words: "认领 eui:… 到 3号楼烟感 · Claim …"
  method: 'POST' | 'PUT' | 'DELETE'
  path: string // under /api/v1; may hold ref()s
  body?: unknown // JSON; strings in it may hold ref()s
  photo?: string // id of a picture in the photos table: it is the body
  after?: string[] // ids of acts that must be done before
  about?: { point?: string; device?: string; visit?: string; ticket?: string; round?: string }
  look?: string // path to read what the server has, for a conflict
  mend?: string // hash of a screen that edits this act: "#/points/new?act=…" (the id is appended)
}

/** refused waits for a person; taken means that the server's side was taken instead. */
export type ActState = 'waiting' | 'sending' | 'done' | 'refused'

export interface Act extends NewAct {
  id: string
  n: number // order of doing
  key: string // Idempotency-Key, made once: sent again it changes nothing
  at: string // when it was done
  unit?: Owner // whose it is; an act from before this was kept has none until the app is opened
  state: ActState
  tries: number
  error?: string // why the last try brought no answer
  answer?: unknown // of the server, when done
  taken?: boolean
  problem?: { status: number; code: string; detail: string }
  done?: string // when
}

/** Whose an act is: of the unit of a token, or of a person with an account. The unit's id is '' for the administrator, and for the desk. */
export interface Owner {
  id: string
  name: string
  account?: string
  person?: string // as the account is shown
}

/** ownerOf is for whom a sign-on acts. */
export function ownerOf(s: { unit: { id: string; name: string } | null; account?: { id: string }; name?: string }): Owner {
  const unit = { id: s.unit?.id ?? '', name: s.unit?.name ?? '' }
  return s.account ? { ...unit, account: s.account.id, person: s.name } : unit
}

export function sameOwner(a: Owner | undefined, b: Owner | undefined): boolean {
  return a?.id === b?.id && a?.account === b?.account
}

/** ofOwner says whether an act may go out under a sign-on: it does under no other unit, and no other person, than its own. */
export function ofOwner(a: Act, owner: Owner | undefined): boolean {
  return a.unit === undefined || (owner !== undefined && sameOwner(a.unit, owner))
}

/** ref stands for a value of an earlier act's answer: its id unless another field is named. */
export function ref(act: { id: string }, field = 'id'): string {
  return `{{act:${act.id}:${field}}}`
}

/** now stands for the phone's clock when the act is sent: held against the server's, it corrects `at`. */
export const now = '{{now}}'

const refs = /\{\{act:([0-9a-f]+):([\w.]+)\}\}/g

/** refsOf lists the acts whose answers v needs. */
export function refsOf(v: unknown): string[] {
  return [...JSON.stringify(v ?? null).matchAll(refs)].map((m) => m[1]!)
}

/** fill puts answers in the place of refs. It throws if an answer has no such field. */
export function fill<T>(v: T, answerOf: (id: string) => unknown): T {
  if (typeof v === 'string') {
    return v.replace(now, () => new Date().toISOString()).replace(refs, (_, id: string, field: string) => {
      let at: unknown = answerOf(id)
      for (const name of field.split('.')) at = (at as Record<string, unknown> | undefined)?.[name]
      if (at === undefined || at === null) throw new Error(`the answer of act ${id} has no ${field}`)
      return String(at)
    }) as T
  }
  if (Array.isArray(v)) return v.map((x) => fill(x, answerOf)) as T
  if (v && typeof v === 'object') return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, fill(x, answerOf)])) as T
  return v
}
