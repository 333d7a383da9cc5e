import { live, onMessage } from '../live.svelte'
import { stateOf } from '../book'
import type { Alarm } from '../types'
import { fresh, patterns, ringOf, type Ring } from './need'

/**
 * The sound of this desk. Browsers let a page sound only after a click, and the system may
 * take the sound away again: what it is now is always told, and nothing but "armed" means
 * that an alarm would be heard by who sits there.
 */
export type Sound = 'off' | 'armed' | 'blocked'

const kept = 'gridgate.console.sound'
const lookEvery = 1_000

const now = $state<{ sound: Sound; ring: Ring; played: number }>({ sound: wanted() ? 'blocked' : 'off', ring: 'none', played: 0 })

/** A desk that had its sound armed wants it back: until somebody clicks it is blocked, not off. */
function wanted(): boolean {
  try {
    return sessionStorage.getItem(kept) === 'yes'
  } catch {
    return false
  }
}

function want(yes: boolean): void {
  try {
    sessionStorage.setItem(kept, yes ? 'yes' : 'no')
  } catch {
    // it is asked for again after a reload
  }
}

/** sound is how the sound stands; ringing what sounds now; played how many patterns were given out. */
export const sound = () => now.sound
export const ringing = (): Ring => (now.sound === 'armed' ? now.ring : 'none')
export const played = () => now.played

let ctx: AudioContext | undefined
let out: GainNode | undefined
let wasAt = -1 // the context's own time when it was last looked at

/** arm begins; call it in the handler of a click or a key. It says whether it sounds. */
export async function arm(): Promise<boolean> {
  want(true)
  try {
    if (!ctx) {
      ctx = new AudioContext()
      out = ctx.createGain()
      out.gain.value = 0.35
      out.connect(ctx.destination)
      ctx.onstatechange = look
    }
    await ctx.resume()
  } catch {
    // no device to sound on: it is blocked, and said so
  }
  wasAt = -1
  look()
  if (now.sound === 'armed') play('once')
  return now.sound === 'armed'
}

export function disarm(): void {
  want(false)
  now.sound = 'off'
  void ctx?.suspend()
}

/** test plays the P1 pattern once. */
export function test(): void {
  if (now.sound === 'armed') play('p1')
}

/** look finds out whether it would be heard: the context says that it runs, and its time goes on. */
function look(): void {
  if (now.sound === 'off' && !wanted()) return
  const runs = ctx?.state === 'running' && ctx.currentTime !== wasAt
  wasAt = ctx?.currentTime ?? -1
  now.sound = runs ? 'armed' : 'blocked'
}

function play(what: keyof typeof patterns): void {
  if (!ctx || !out || ctx.state !== 'running') return
  const from = ctx.currentTime + 0.02
  for (const x of patterns[what].tones) {
    const o = ctx.createOscillator()
    const g = ctx.createGain()
    o.type = what === 'p1' || what === 'untaken' ? 'square' : 'triangle'
    o.frequency.value = x.hz
    g.gain.setValueAtTime(0, from + x.at)
    g.gain.linearRampToValueAtTime(1, from + x.at + 0.01)
    g.gain.setValueAtTime(1, from + x.at + x.for - 0.02)
    g.gain.linearRampToValueAtTime(0, from + x.at + x.for)
    o.connect(g).connect(out)
    o.start(from + x.at)
    o.stop(from + x.at + x.for)
    o.onended = () => g.disconnect()
  }
  now.played++
}

/**
 * keepWatch sounds while a screen is there: P1 and P2 again and again until somebody has
 * acknowledged them, all else once when it comes. It returns what ends it.
 */
export function keepWatch(): () => void {
  if (++watchers === 1) endWatch = watch()
  return () => {
    if (--watchers === 0) endWatch()
  }
}

/** setSeated: this page is a seat. Only a seat is called for what nobody has taken. */
export const setSeated = (yes: boolean): void => void (seated = yes)

let seated = false
let watchers = 0 // the shell shows the sound, and so may a screen: one watch for all
let endWatch = () => {}

function watch(): () => void {
  const known = new Set<string>()
  let first = true
  let last = 0
  let queue: unknown
  const tick = () => {
    look()
    const entries = live.queue.entries
    now.ring = ringOf(entries, seated)
    let news = 0
    if (entries !== queue) {
      queue = entries
      news = fresh(entries, known)
      if (first) news = 0 // what was there before is no news
      first = false
    }
    if (now.sound !== 'armed') return
    const every = now.ring === 'none' ? Infinity : patterns[now.ring].every * 1000
    if (Date.now() - last >= every) {
      last = Date.now()
      play(now.ring as Exclude<Ring, 'none'>)
    } else if (news > 0 && now.ring === 'none') play('once')
  }
  const timer = setInterval(tick, lookEvery / 4)
  // An alarm is heard with its message, not only when the list was read again.
  const off = onMessage((event, row) => {
    if (event !== 'alarm') return
    const a = row as Alarm
    if (a.mode === 'live' && a.priority === 1 && stateOf(a) === 'UNACK' && now.ring !== 'p1' && now.ring !== 'untaken') {
      now.ring = 'p1'
      if (now.sound === 'armed') {
        last = Date.now()
        play('p1')
      }
    }
  })
  return () => {
    clearInterval(timer)
    off()
  }
}
