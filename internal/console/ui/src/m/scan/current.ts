// The code that was scanned last, in memory alone: its text may hold a secret, so it is in no
// address, no table and no act. Reloading the page forgets it.
import { call } from '../../lib/api'
import type { CodeAnswer } from '../model'
import { readCode, type Code } from '../codes/read'

let raw = ''
let symbology = ''
let now: Code | null = null
let asked: Promise<CodeAnswer> | null = null

export function scanned(text: string, how: string): Code {
  raw = text
  symbology = how
  asked = null
  now = readCode(text)
  return now
}

export const lastCode = (): Code | null => now

/** What the server makes of the last code; asked once. Without a server it throws what a call throws. */
export function askServer(): Promise<CodeAnswer> {
  asked ??= call<CodeAnswer>('/codes/read', { method: 'POST', body: { text: raw, symbology } })
  asked.catch(() => (asked = null))
  return asked
}

/** The text of our own label, whose token claims its device once; only in memory, only for its claim. */
export const claimCode = (device: string): string => (now?.kind === 'gw1' && now.secret && now.identity === device ? raw : '')

/** Forgets the text of the last code: it has done what it was for. */
export function forgetCode(): void {
  raw = ''
}
