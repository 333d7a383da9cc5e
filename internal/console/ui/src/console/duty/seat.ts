import { Problem, Unreachable } from '../../lib/api'
import type { Seat } from './model'

/** What the page itself can say: the beat carries it as it is. */
export interface Senses {
  sound: boolean
  stream: boolean
}

/** What a page keeps of its seat over a reload. */
export interface Kept {
  seat: string
  session: string
  beat_s: number
  silent_s: number
  heard: number // when the server last answered, ms
}

/** The seat's way to the server, and its clock. */
export interface Ways {
  signOn: (seat: string, now: Senses, over: boolean) => Promise<Seat>
  beat: (seat: string, session: string, now: Senses) => Promise<Seat>
  signOff: (seat: string, session: string) => Promise<unknown>
  look: (seat: string) => Promise<Seat | undefined>
  senses: () => Senses
  keep: (k: Kept | undefined) => void
  now: () => number
  changed: (s: SeatState) => void
}

/** Why a page that was signed on is so no more. */
export type Gone = 'replaced' | 'left' | 'unknown'

export interface SeatState {
  seat?: string // signed on to
  last?: string // the seat that was lost
  gone?: Gone
  busy: boolean
  told: boolean // the server's word of the last answer: it watches
  heard: number
  silent_s: number
}

/** Why a page does not watch, in the order in which a person mends it. */
export type Why = 'none' | 'gone' | 'sound' | 'stream' | 'silent' | 'told'

const soon = 3_000 // ms until a beat that had no answer is sent again

/**
 * Keeper keeps one page at its seat: it signs on, beats, says at once when sound or stream
 * change, and believes nothing that it has not heard. A seat that somebody else has signed
 * on to, or that was signed off, is not taken back by itself.
 */
export class Keeper {
  private kept: Kept | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private beating = false
  private again = false
  private said: Senses | undefined
  private state: SeatState = { busy: false, told: false, heard: 0, silent_s: 45 }

  constructor(private readonly on: Ways) {}

  /** sits: it has a session and beats. */
  get sits(): boolean {
    return !!this.kept
  }

  private set(s: Partial<SeatState>): void {
    this.state = { ...this.state, ...s }
    this.on.changed(this.state)
  }

  /**
   * resume goes on after a reload. The first beat is sent when it is due, not at once: the sound
   * may be armed again until then, and what the seat has is not lost by a reload.
   */
  resume(k: Kept): void {
    this.kept = k
    this.set({ seat: k.seat, last: undefined, gone: undefined, told: true, heard: k.heard, silent_s: k.silent_s })
    this.wait(Math.max(0, k.heard + k.beat_s * 1000 - this.on.now()))
  }

  /** signOn takes a seat. It throws what the server says: a conflict is another person who watches there. */
  async signOn(seat: string, over = false): Promise<void> {
    if (this.state.busy) return
    this.set({ busy: true })
    const now = this.on.senses()
    try {
      const before = this.kept
      const got = await this.on.signOn(seat, now, over)
      if (before && before.seat !== seat) await this.on.signOff(before.seat, before.session).catch(() => {}) // it falls silent by itself
      this.said = now
      this.hear(got, { seat, session: got.session!, beat_s: got.beat_s, silent_s: got.silent_s, heard: this.on.now() })
      this.poke()
    } finally {
      this.set({ busy: false })
    }
  }

  private hear(s: Seat, k: Kept): void {
    this.kept = k
    this.on.keep(k)
    this.set({ seat: k.seat, last: undefined, gone: undefined, told: s.watching, heard: k.heard, silent_s: k.silent_s })
    this.wait(k.beat_s * 1000)
  }

  /** signOff leaves the seat. Whether the server heard it or not, this page has none any more. */
  async signOff(): Promise<void> {
    const k = this.kept
    this.drop(undefined)
    if (k) await this.on.signOff(k.seat, k.session)
  }

  /** drop forgets the seat; gone says why it was lost. */
  drop(gone: Gone | undefined): void {
    clearTimeout(this.timer)
    const last = this.kept?.seat
    this.kept = undefined
    this.said = undefined
    this.on.keep(undefined)
    this.set({ seat: undefined, last: gone ? last : undefined, gone, told: false })
  }

  /** stop ends the beats of a page that goes; what it keeps stays. */
  stop(): void {
    clearTimeout(this.timer)
    this.kept = undefined
  }

  /** poke says at once what has changed since the last beat. Before the first one nothing has. */
  poke(): void {
    const now = this.on.senses()
    if (!this.kept || !this.said || (now.sound === this.said.sound && now.stream === this.said.stream)) return
    void this.beat()
  }

  /** lost finds out who has the seat now that it is not ours any more. */
  private async lost(k: Kept): Promise<void> {
    const row = await this.on.look(k.seat).catch(() => undefined)
    if (this.kept === k) this.drop(!row ? 'unknown' : row.left ? 'left' : 'replaced')
  }

  private wait(ms: number): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.beat(), ms)
  }

  /** beat says that this page is there. Never two at once. */
  async beat(): Promise<void> {
    const k = this.kept
    if (!k) return
    if (this.beating) {
      this.again = true
      return
    }
    this.beating = true
    this.again = false
    clearTimeout(this.timer)
    const now = this.on.senses()
    try {
      const got = await this.on.beat(k.seat, k.session, now)
      if (this.kept !== k) return
      this.said = now
      this.hear(got, { ...k, beat_s: got.beat_s, silent_s: got.silent_s, heard: this.on.now() })
    } catch (err) {
      if (this.kept !== k) return
      if (err instanceof Problem && err.status === 409) await this.lost(k)
      else if (err instanceof Problem && !(err.status >= 500) && err.status !== 429) this.drop('unknown') // the token, or the seat, is no more
      else if (err instanceof Problem || err instanceof Unreachable) this.wait(Math.min(soon, k.beat_s * 1000))
      else throw err
    } finally {
      this.beating = false
      if (this.again && this.kept) void this.beat()
    }
  }
}

/** whyNot is what keeps this page from watching; undefined: it watches. */
export function whyNot(s: SeatState, senses: Senses, now: number): Why | undefined {
  if (!s.seat) return s.gone ? 'gone' : 'none'
  if (!senses.sound) return 'sound'
  if (!senses.stream) return 'stream'
  if (now - s.heard > s.silent_s * 1000) return 'silent'
  return s.told ? undefined : 'told'
}
