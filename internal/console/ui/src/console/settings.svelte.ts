import { setLang, type Lang } from '../lib/words.svelte'

export type Theme = 'dark' | 'light'

const asked = new URLSearchParams(location.search)

/** A wall shows and takes no deeds: "/?wall=1#/situation?…". It may name lang and theme too. */
export const wall = asked.get('wall') === '1'

const now = $state<{ theme: Theme }>({ theme: 'dark' })

export function theme(): Theme {
  return now.theme
}

function kept(name: string): string | null {
  try {
    return asked.get(name) ?? localStorage.getItem('gridgate.' + name)
  } catch {
    return null
  }
}

/** keep remembers a choice on this computer. */
export function keep(name: string, value: string): void {
  try {
    localStorage.setItem('gridgate.' + name, value)
  } catch {
    // storage is switched off: the choice lasts as long as the page
  }
}

export function setTheme(to: Theme): void {
  now.theme = to
  document.documentElement.dataset.theme = to
  keep('theme', to)
}

export function chooseLang(to: Lang): void {
  setLang(to)
  keep('lang', to)
}

/** The name that was typed here last. */
export const lastName = () => kept('name') ?? ''

/** begin takes what was chosen before. Chinese and dark are what a desk starts with. */
export function begin(): void {
  setLang(kept('lang') === 'en' ? 'en' : 'zh')
  now.theme = kept('theme') === 'light' ? 'light' : 'dark'
  document.documentElement.dataset.theme = now.theme
  if (wall) document.documentElement.dataset.wall = ''
}
