import { lang } from '../../lib/words.svelte'
import { t } from '../texts/duty'
import { span } from '../time'
import type { Untaken } from '../types'
import { seatName } from './take.svelte'

const whys: Record<string, 'why.sound' | 'why.stream' | 'why.silent' | 'why.left' | 'why.replaced'> = {
  'sound is not armed': 'why.sound', 'its stream is not live': 'why.stream', silent: 'why.silent', 'signed off': 'why.left', 'signed on anew': 'why.replaced',
}

/** whyWord words why a seat does not watch; what the server says anew stays as it is. */
export const whyWord = (why: string | undefined): string => (!why ? t('why.told') : whys[why] ? t(whys[why]) : why)

/** leadWhy words why the duty lead was called. */
export const leadWhy = (u: Untaken): string =>
  u.why === 'no seat watches' ? t('why.lead.watch') : u.lead ? t('why.lead.lasted', { for: span(Date.parse(u.lead) - Date.parse(u.since)) }) : (u.why ?? '')

/** seatWord is what a seat is called in the language of the page. */
export const seatWord = (id: string | undefined): string => (id ? seatName(id, lang()) : '')
