// All that the technician's app says. What the first screens need is in i18n.ts alone: these
// come with the first screen of scanning, points, visits.
import { fill, words, type Both, type Values } from '../lib/words.svelte'
import { texts as near } from './texts'
import { field } from './texts/field'

export const texts = { ...near, ...field }
export type Key = keyof typeof texts

export const t = words(texts)

/** bothOf is a key in both languages, to be kept with an act. */
export function bothOf(key: Key, values: Values = {}): Both {
  return { zh: fill(texts[key].zh, values), en: fill(texts[key].en, values) }
}

/** keyOr is a key of the dictionary if it has it: a new type of event is shown by its own name. */
export function keyOr(key: string): Key | undefined {
  return key in texts ? (key as Key) : undefined
}
