// Which drawing stands beside a step. The plans come from the server as data, so a step that we
// have no drawing for gets the one of waiting for a message.
export type Scene = 'press' | 'open' | 'close' | 'lift' | 'lower' | 'car' | 'carless' | 'tamper' | 'photo' | 'battery' | 'place' | 'wait'

const byWord: [RegExp, Scene][] = [
  [/photo/, 'photo'],
  [/tamper/, 'tamper'],
  [/battery/, 'battery'],
  [/position|place|cell/, 'place'],
  [/button|press|test/, 'press'],
  [/occup|car_on|park_in|arrive/, 'car'],
  [/free|vacant|leave|car_off|park_out/, 'carless'],
]

/** The drawing of a step, by its id and by the kind of point. */
export function sceneOf(step: string, kind: string): Scene {
  for (const [word, scene] of byWord) if (word.test(step)) return scene
  if (/open|tilt|lift/.test(step)) return kind === 'manhole' ? 'lift' : 'open'
  if (/close|lower|level/.test(step)) return kind === 'manhole' ? 'lower' : 'close'
  return 'wait'
}
