import { locale, words } from '../lib/words.svelte'

const t = words({
  now: { zh: '刚刚', en: 'just now' },
  seconds: { zh: '{n} 秒前', en: '{n} s ago' },
  minutes: { zh: '{n} 分钟前', en: '{n} min ago' },
  hours: { zh: '{n} 小时前', en: '{n} h ago' },
  days: { zh: '{n} 天前', en: '{n} d ago' },
  soon: { zh: '{span}后', en: 'in {span}' },
  d: { zh: '{d} 天 {h} 时', en: '{d} d {h} h' },
  h: { zh: '{h} 时 {m} 分', en: '{h} h {m} min' },
  hh: { zh: '{h} 小时', en: '{h} h' },
  m: { zh: '{m} 分', en: '{m} min' },
  s: { zh: '{s} 秒', en: '{s} s' },
})

/** ago words how long ago something was; of what is ahead it says in how long. */
export function ago(at: string, now: number): string {
  const s = Math.floor((now - Date.parse(at)) / 1000)
  if (s < -30) return t('soon', { span: span(-s * 1000) })
  if (s < 10) return t('now')
  if (s < 60) return t('seconds', { n: s - (s % 10) })
  if (s < 3600) return t('minutes', { n: Math.floor(s / 60) })
  if (s < 48 * 3600) return t('hours', { n: Math.floor(s / 3600) })
  return t('days', { n: Math.floor(s / 86_400) })
}

/** span words a length of time in its two largest parts. */
export function span(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000))
  if (s >= 86_400) return t('d', { d: Math.floor(s / 86_400), h: Math.floor((s % 86_400) / 3600) })
  if (s >= 3600) return t('h', { h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) })
  if (s >= 60) return t('m', { m: Math.floor(s / 60) })
  return t('s', { s })
}

/** spanOf words a length of time as the server writes it: 18h0m0s. */
export function spanOf(said: string): string {
  const found = /^(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?$/.exec(said)
  if (!found || !said) return said
  const [h, m, s] = found.slice(1).map((x) => Number(x ?? 0)) as [number, number, number]
  const ms = (h * 3600 + m * 60 + s) * 1000
  return ms > 0 && ms % 3_600_000 === 0 && h < 48 ? t('hh', { h }) : span(ms)
}

/** countdown is the digits of a clock: 1:05:09, 04:59, and of days "3d 04:00". */
export function countdown(ms: number): string {
  const s = Math.floor(Math.abs(ms) / 1000)
  const two = (n: number) => String(n).padStart(2, '0')
  const [d, h, m] = [Math.floor(s / 86_400), Math.floor((s % 86_400) / 3600), Math.floor((s % 3600) / 60)]
  if (d > 0) return `${d}d ${two(h)}:${two(m)}`
  return h > 0 ? `${h}:${two(m)}:${two(s % 60)}` : `${two(m)}:${two(s % 60)}`
}

const formats = new Map<string, Intl.DateTimeFormat>()

function format(kind: 'day' | 'full' | 'time', o: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale() + kind
  let f = formats.get(key)
  if (!f) formats.set(key, (f = new Intl.DateTimeFormat(locale(), { ...o, hour12: false })))
  return f
}

const clock: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', second: '2-digit' }

/** moment is a time in the desk's zone: today only the time of day, else the day too; whole gives all of it. */
export function moment(at: string, whole = false, now = new Date()): string {
  const d = new Date(at)
  if (Number.isNaN(d.getTime())) return at
  if (whole) return format('full', { ...clock, year: 'numeric', month: '2-digit', day: '2-digit', weekday: 'short' }).format(d)
  if (d.toDateString() === now.toDateString()) return format('time', clock).format(d)
  return format('day', { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit' }).format(d)
}
