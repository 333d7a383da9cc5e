// The words of the technician's app: its own, and those of lib/phone.
import { fill, lang, say, setLang, words, type Both, type Lang, type Values } from '../lib/words.svelte'
import { texts } from './texts'

export { lang, say, setLang }
export type { Both, Lang }
export type Key = keyof typeof texts

/** t words a key: {n} in the text takes the value named n. */
export const t = words(texts)

/** bothOf is a key in both languages, to be kept with an act. */
export function bothOf(key: Key, values: Values = {}): Both {
  return { zh: fill(texts[key].zh, values), en: fill(texts[key].en, values) }
}
