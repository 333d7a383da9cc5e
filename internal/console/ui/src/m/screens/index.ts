import { Loader, patternOf, type Screens } from '../../lib/phone/screens.svelte'
import type { Place } from '../../lib/router.svelte'
import { fieldScreens } from './field'

const screens: Screens = {
  ...fieldScreens,
  tasks: () => import('./Tasks.svelte'),
  'tasks/*': () => import('./Task.svelte'),
  'rounds/*': () => import('./Round.svelte'),
  'rounds/*/no-entry': () => import('./NoEntry.svelte'),
  windows: () => import('./Windows.svelte'),
  'windows/new': () => import('./WindowNew.svelte'),
  me: () => import('./Me.svelte'),
  queue: () => import('./Queue.svelte'),
  account: () => import('../../lib/phone/AccountScreen.svelte'),
  signon: () => import('./SignOn.svelte'),
}

export const loader = new Loader(screens)
export const screenOf = (at: Place): string => patternOf(screens, at, 'scan')
