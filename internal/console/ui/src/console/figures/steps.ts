import { locale } from '../../lib/words.svelte'
import type { Trend } from './model'

const city = 'Asia/Shanghai'

/** stepLabel names a step of a period: its hour, its day, or the first day of its week. */
export function stepLabel(from: string, step: Trend['step']): string {
  return new Intl.DateTimeFormat(locale(), step === 'hour' ? { hour: '2-digit', minute: '2-digit', hour12: false, timeZone: city } : { month: '2-digit', day: '2-digit', timeZone: city }).format(new Date(from))
}

/** dayLabel is a day of the city. */
export function dayLabel(at: string | number): string {
  return new Intl.DateTimeFormat(locale(), { year: 'numeric', month: '2-digit', day: '2-digit', timeZone: city }).format(new Date(at))
}

/** timeLabel is a moment of the city. */
export function timeLabel(at: string): string {
  return new Intl.DateTimeFormat(locale(), { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hour12: false, timeZone: city }).format(new Date(at))
}
