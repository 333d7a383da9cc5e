import { lang } from './i18n'

/** A time as a person on site says it: the hour today, the day before that. */
export function when(at: string | undefined, now = new Date()): string {
  const d = new Date(at ?? '')
  if (Number.isNaN(d.getTime())) return '—'
  const tag = lang() === 'zh' ? 'zh-CN' : 'en-GB'
  const today = d.toDateString() === now.toDateString()
  return d.toLocaleString(tag, today ? { hour: '2-digit', minute: '2-digit', second: '2-digit' } : { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' })
}
