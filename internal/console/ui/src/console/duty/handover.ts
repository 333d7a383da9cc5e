import { say, type Both } from '../../lib/words.svelte'
import type { Handover } from './model'

const shifts: Record<string, Both> = { early: { zh: '早班', en: 'early' }, late: { zh: '中班', en: 'late' }, night: { zh: '夜班', en: 'night' }, day: { zh: '白班', en: 'day' } }

/** shiftWord is what a shift of calendars.yaml is called; one of your own stays what it is. */
export const shiftWord = (code: string | undefined): string => (code && shifts[code] ? say(shifts[code]) : (code ?? '—'))

/** stateOf is how far the signing has come. */
export const stateOf = (h: Handover): 'open' | 'half' | 'signed' => (h.outgoing && h.incoming ? 'signed' : h.outgoing || h.incoming ? 'half' : 'open')

/** half of a text in two languages, as rules give titles: "烟雾报警 / Smoke alarm". */
export function half(text: string, lang: 'zh' | 'en'): string {
  const i = text.indexOf(' / ')
  return i < 0 ? text : lang === 'zh' ? text.slice(0, i) : text.slice(i + 3)
}
