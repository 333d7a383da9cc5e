import type { DeviceView } from '../points/model'

/** What may be done with a device. */
export type Verb = 'replace' | 'move' | 'retire' | 'revive' | 'bar' | 'stolen'

/** verbs are the acts that a device's state allows. */
export function verbs(d: DeviceView): Verb[] {
  const at = d.installations.some((x) => !x.to)
  if (d.state === 'barred') return ['revive', 'retire', 'stolen']
  if (d.state === 'retired') return ['revive', 'stolen']
  return at ? ['replace', 'move', 'retire', 'bar', 'stolen'] : ['retire', 'bar', 'stolen']
}
