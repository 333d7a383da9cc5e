// Which drawing stands beside a step. The plans come from the server as data, so a step that we
// have no drawing for gets the one of waiting for a message.
export type Scene = 'press' | 'open' | 'close' | 'lift' | 'lower' | 'car' | 'carless' | 'tamper' | 'photo' | 'battery' | 'place' | 'wait'

const acts: Record<string, Record<string, Scene>> = {
  door: { on: 'open', off: 'close', rest: 'close' },
  manhole: { on: 'lift', off: 'lower', rest: 'lower' },
  parking: { on: 'car', off: 'carless', rest: 'carless' },
}

/** The drawing of a step, by what shows it, its id and the kind of point. */
export function sceneOf(step: { id: string; check?: string }, kind: string): Scene {
  if (step.check === 'photo') return 'photo'
  if (step.check === 'position') return 'place'
  if (step.check === 'battery') return 'battery'
  if (/tamper|remove/.test(step.id)) return 'tamper'
  return acts[kind]?.[step.check ?? ''] ?? (step.check === 'moment' ? 'press' : 'wait')
}
