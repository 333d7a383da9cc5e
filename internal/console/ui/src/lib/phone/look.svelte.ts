import { setLang, type Lang } from '../words.svelte'
import { app } from './app'

export type Theme = 'auto' | 'light' | 'dark'

const now = $state<{ theme: Theme }>({ theme: 'auto' })

/** The language that the phone asks for; Chinese unless it is plainly another. */
export function phoneLang(): Lang {
  return (navigator.languages ?? [navigator.language]).some((l) => l.startsWith('zh')) ? 'zh' : 'en'
}

export const theme = (): Theme => now.theme

export function setTheme(theme: Theme): void {
  now.theme = theme
  if (theme === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function chooseTheme(theme: Theme): void {
  setTheme(theme)
  remember('theme', theme)
}

export function chooseLang(lang: Lang): void {
  setLang(lang)
  remember('lang', lang)
}

/** Language and appearance are written at once, so that a page that is loaded again in the same moment has them. */
function remember(name: 'lang' | 'theme', value: string): void {
  try {
    localStorage.setItem(`gridgate.${app}.${name}`, value)
  } catch {
    // a browser that keeps nothing: they hold until the page is closed
  }
}

export function remembered<T extends string>(name: 'lang' | 'theme'): T | undefined {
  try {
    return (localStorage.getItem(`gridgate.${app}.${name}`) ?? undefined) as T | undefined
  } catch {
    return undefined
  }
}
