import type { Screens } from '.'
import Claim from './Claim.svelte'
import Code from './Code.svelte'
import Device from './Device.svelte'
import PointNew from './PointNew.svelte'
import Points from './Points.svelte'
import Scan from './Scan.svelte'
import Swap from './Swap.svelte'
import Visit from './Visit.svelte'
import VisitNew from './VisitNew.svelte'

/** The screens of scanning, points, claiming, commissioning and swapping. */
export const fieldScreens: Screens = {
  scan: Scan,
  code: Code,
  device: Device,
  points: Points,
  'points/new': PointNew,
  claim: Claim,
  visit: Visit,
  'visit/new': VisitNew,
  swap: Swap,
}
