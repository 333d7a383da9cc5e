// What makes a new ticket heard. A browser lets a page sound only after a touch.
let ctx: AudioContext | undefined
const now = $state<{ armed: boolean }>({ armed: false })

export const armed = (): boolean => now.armed

/** arm is called in the handler of a touch. */
export async function arm(): Promise<void> {
  try {
    ctx ??= new AudioContext()
    ctx.onstatechange = () => (now.armed = ctx!.state === 'running')
    await ctx.resume()
  } catch {
    // no device to sound on: it stays off, and the page says so
  }
  now.armed = ctx?.state === 'running'
  if (now.armed) sound(880, 0)
}

/** ring is for a new ticket: three tones where it is urgent, one where it is not. */
export function ring(urgent: boolean): void {
  navigator.vibrate?.(urgent ? [300, 100, 300, 100, 300] : [200])
  if (ctx?.state !== 'running') return
  for (let i = 0; i < (urgent ? 3 : 1); i++) sound(urgent ? 988 : 660, i * 0.35)
}

function sound(hz: number, after: number): void {
  const at = ctx!.currentTime + after
  const tone = ctx!.createOscillator()
  const loud = ctx!.createGain()
  tone.frequency.value = hz
  loud.gain.setValueAtTime(0, at)
  loud.gain.linearRampToValueAtTime(0.4, at + 0.02)
  loud.gain.setTargetAtTime(0, at + 0.18, 0.05)
  tone.connect(loud).connect(ctx!.destination)
  tone.start(at)
  tone.stop(at + 0.35)
}
