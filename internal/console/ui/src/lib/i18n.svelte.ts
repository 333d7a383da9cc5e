import { texts } from '../m/texts'
import type { Both, Lang } from './both'

export type { Both, Lang }
export type Key = keyof typeof texts

const shown = $state<{ lang: Lang }>({ lang: 'zh' })

export function lang(): Lang {
  return shown.lang
}

export function setLang(l: Lang): void {
  shown.lang = l
  if (typeof document !== 'undefined') document.documentElement.lang = l === 'zh' ? 'zh-CN' : 'en'
}

/** The language that the phone asks for; Chinese unless it is plainly another. */
export function phoneLang(): Lang {
  return (navigator.languages ?? [navigator.language]).some((l) => l.startsWith('zh')) ? 'zh' : 'en'
}

/** t words a key: {n} in the text takes the value named n. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return fill(texts[key][shown.lang], values)
}

/** say picks the language of a text that carries both. */
export function say(both: Both): string {
  return both[shown.lang] || both.zh || both.en
}

/** bothOf is a key in both languages, to be kept with an act. */
export function bothOf(key: Key, values: Record<string, string | number> = {}): Both {
  return { zh: fill(texts[key].zh, values), en: fill(texts[key].en, values) }
}

function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}
