import { setSetting } from '../lib/db'
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
  void setSetting('theme', theme)
}

export function chooseLang(lang: Lang): void {
  setLang(lang)
  void setSetting('lang', lang)
}
