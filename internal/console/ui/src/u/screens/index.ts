import { Loader, patternOf, type Screens } from '../../lib/phone/screens.svelte'
import type { Place } from '../../lib/router.svelte'

const screens: Screens = {
  tickets: () => import('./Mine.svelte'),
  'tickets/*': () => import('./Ticket.svelte'),
  queue: () => import('../../lib/phone/QueueScreen.svelte'),
  me: () => import('./Me.svelte'),
  account: () => import('../../lib/phone/AccountScreen.svelte'),
  signon: () => import('./SignOn.svelte'),
}

export const loader = new Loader(screens)
export const screenOf = (at: Place): string => patternOf(screens, at, 'tickets')
