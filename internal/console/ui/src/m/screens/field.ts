import type { Screens } from '../../lib/phone/screens.svelte'

/** The screens of scanning, points, claiming, commissioning and swapping. */
export const fieldScreens: Screens = {
  scan: () => import('./Scan.svelte'),
  code: () => import('./Code.svelte'),
  device: () => import('./Device.svelte'),
  points: () => import('./Points.svelte'),
  'points/new': () => import('./PointNew.svelte'),
  claim: () => import('./Claim.svelte'),
  visit: () => import('./Visit.svelte'),
  'visit/new': () => import('./VisitNew.svelte'),
  swap: () => import('./Swap.svelte'),
}
