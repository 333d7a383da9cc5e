import { setLang, type Lang } from '../lib/i18n.svelte'

export type Theme = 'auto' | 'light' | 'dark'

const now = $state<{ theme: Theme }>({ theme: 'auto' })

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
    localStorage.setItem('gridgate.m.' + name, value)
  } catch {
    // a browser that keeps nothing: they hold until the page is closed
  }
}

export function remembered<T extends string>(name: 'lang' | 'theme'): T | undefined {
  try {
    return (localStorage.getItem('gridgate.m.' + name) ?? undefined) as T | undefined
  } catch {
    return undefined
  }
}
