// What to say while a number is typed: how much is missing, whether the check digit is right.
import type { Key } from '../words'
import { readCode } from './read'

export interface Hint {
  key: Key
  values?: Record<string, string | number>
  tone: 'good' | 'bad' | 'open'
}

/** A hint for what stands in the field so far; null while it is empty. */
export function hintOf(typed: string): Hint | null {
  const text = typed.trim()
  if (!text) return null
  const bare = text.replace(/[\s:.-]/g, '')
  if (/^\d+$/.test(bare) && bare.length >= 8 && bare.length <= 15) {
    if (bare.length < 15) return { key: 'typed.imei', values: { n: 15 - bare.length }, tone: 'open' }
    const ok = readCode(bare).warnings.length === 0
    return ok ? { key: 'typed.imei.ok', tone: 'good' } : { key: 'typed.imei.bad', tone: 'bad' }
  }
  if (/^[0-9a-f]+$/i.test(bare) && bare.length >= 4) {
    if (bare.length === 16) return { key: 'typed.eui.ok', tone: 'good' }
    if (bare.length === 12) return { key: 'typed.mac.ok', tone: 'good' }
    if (bare.length < 16) return { key: 'typed.eui', values: { n: 16 - bare.length }, tone: 'open' }
    if (bare.length < 32) return { key: 'typed.long', values: { n: bare.length - 16 }, tone: 'bad' }
  }
  const kind = readCode(text).kind
  return kind === 'plain' ? { key: 'typed.any', tone: 'open' } : { key: 'typed.kind', values: { kind }, tone: 'good' }
}
