import type { Both, Lang } from './both'

export type { Both, Lang }

/** What a text's {names} take. */
export type Values = Record<string, string | number>

/** Texts of one part, in both languages. */
export type Texts = Record<string, Both>

const shown = $state<{ lang: Lang }>({ lang: 'zh' })

export function lang(): Lang {
  return shown.lang
}

export function setLang(l: Lang): void {
  shown.lang = l
  if (typeof document !== 'undefined') document.documentElement.lang = l === 'zh' ? 'zh-CN' : 'en'
}

/** The locale of numbers and dates. */
export function locale(): string {
  return shown.lang === 'zh' ? 'zh-CN' : 'en-GB'
}

/**
 * The words of one part: t('key', {n: 1}). A key that is not there does not compile; one that was
 * made of a server's code and has no text yet stands there itself: no page fails for want of a word.
 */
export function words<T extends Texts>(texts: T): (key: keyof T & string, values?: Values) => string {
  return (key, values) => {
    const both: Both | undefined = texts[key]
    return both ? fill(say(both), values) : key
  }
}

/** say picks the language of a text that carries both. */
export function say(both: Both): string {
  return both[shown.lang] || both.zh || both.en
}

/** colon stands between what something is and what it is worth. */
export function colon(): string {
  return shown.lang === 'zh' ? '：' : ': '
}

/** fill puts values in the place of {names}. */
export function fill(text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}
