import Empty from './Empty.svelte'
import type { Screens } from '.'

/** The screens of scanning, points, claiming, commissioning and swapping. */
export const fieldScreens: Screens = {
  scan: Empty,
  points: Empty,
}
