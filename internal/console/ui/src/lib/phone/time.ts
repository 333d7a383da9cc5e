import { lang } from '../words.svelte'
import { t } from './texts'

/** ago words how long ago something was, coarsely. */
export function ago(at: string, now = Date.now()): string {
  const minutes = Math.floor((now - Date.parse(at)) / 60_000)
  if (minutes < 1) return t('age.now')
  if (minutes < 60) return t('age.minutes', { n: minutes })
  if (minutes < 48 * 60) return t('age.hours', { n: Math.floor(minutes / 60) })
  return t('age.days', { n: Math.floor(minutes / 1440) })
}

/** when is a moment in the phone's zone: today only the time. */
export function when(at: string, now = new Date()): string {
  const d = new Date(at)
  const time: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hour12: false }
  const day: Intl.DateTimeFormatOptions = d.toDateString() === now.toDateString() ? {} : { month: 'short', day: 'numeric' }
  return d.toLocaleString(lang() === 'zh' ? 'zh-CN' : 'en-GB', { ...day, ...time })
}

/** dayAfter is a calendar day some days from now, as a date field wants it. */
export function dayAfter(days: number, now = new Date()): string {
  const d = new Date(now.getFullYear(), now.getMonth(), now.getDate() + days)
  return [d.getFullYear(), String(d.getMonth() + 1).padStart(2, '0'), String(d.getDate()).padStart(2, '0')].join('-')
}
