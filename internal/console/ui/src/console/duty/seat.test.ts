import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Problem, Unreachable } from '../../lib/api'
import type { Seat } from './model'
import { Keeper, whyNot, type Kept, type Senses, type SeatState } from './seat'

/** The server's side: one seat, as internal/engine keeps it, and a network that may be cut. */
class Desk {
  row: Seat = { id: 'desk-1', name: { zh: '一', en: 'One' }, sound: false, stream: false, watching: false, mode: 'live', beat_s: 15, silent_s: 45 }
  session = 0
  beats: Senses[] = []
  cut = false
  kept: Kept | undefined
  senses: Senses = { sound: true, stream: true }
  state!: SeatState

  sit(person: string, now: Senses, over: boolean): Seat {
    if (this.row.watching && this.row.person !== person && !over) throw new Problem(409, 'conflict', 'watched by ' + this.row.person)
    this.row = { ...this.row, person, left: undefined, ...now, watching: now.sound && now.stream }
    return { ...this.row, session: String(++this.session) }
  }

  net<T>(fn: () => T): Promise<T> {
    if (this.cut) return Promise.reject(new Unreachable('cut'))
    try {
      return Promise.resolve(fn())
    } catch (err) {
      return Promise.reject(err as Error)
    }
  }

  keeper(person: string): Keeper {
    return new Keeper({
      signOn: (_, now, over) => this.net(() => this.sit(person, now, over)),
      beat: (_, session, now) =>
        this.net(() => {
          if (this.row.left || session !== String(this.session)) throw new Problem(409, 'conflict', 'anew')
          this.beats.push(now)
          this.row = { ...this.row, ...now, watching: now.sound && now.stream }
          return this.row
        }),
      signOff: () => this.net(() => (this.row = { ...this.row, watching: false, left: 'now' })),
      look: () => this.net(() => this.row),
      senses: () => this.senses,
      keep: (k) => (this.kept = k),
      now: () => Date.now(),
      changed: (s) => (this.state = s),
    })
  }

  why = () => whyNot(this.state, this.senses, Date.now())
}

let desk: Desk
let mine: Keeper
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

beforeEach(() => {
  vi.useFakeTimers()
  desk = new Desk()
  mine = desk.keeper('lin')
})
afterEach(() => {
  mine.stop()
  vi.useRealTimers()
})

test('A page that is signed on beats as often as the server wants, and watches', async () => {
  await mine.signOn('desk-1')
  expect(desk.why()).toBeUndefined()
  await pass(45_000)
  expect(desk.beats).toHaveLength(3)
  expect(desk.kept?.session).toBe('1')
})

test('What is said is what is: without sound it does not watch, and a change is said at once', async () => {
  desk.senses = { sound: false, stream: true }
  await mine.signOn('desk-1')
  expect(desk.row.watching).toBe(false)
  expect(desk.why()).toBe('sound')
  desk.senses = { sound: true, stream: true }
  mine.poke()
  await pass(0)
  expect(desk.beats).toEqual([{ sound: true, stream: true }])
  expect(desk.why()).toBeUndefined()
  desk.senses = { sound: true, stream: false }
  mine.poke()
  mine.poke()
  await pass(0)
  expect(desk.row.watching).toBe(false)
  expect(desk.why()).toBe('stream')
})

test('What changes while a beat is under way is said right after it', async () => {
  await mine.signOn('desk-1')
  const going = mine.beat()
  desk.senses = { sound: false, stream: true }
  mine.poke()
  await going
  await pass(0)
  expect(desk.beats.at(-1)).toEqual({ sound: false, stream: true })
})

test('Where another person watches the seat is taken only when it is said so, and the other hears it', async () => {
  await mine.signOn('desk-1')
  const other = desk.keeper('wu')
  await expect(other.signOn('desk-1')).rejects.toMatchObject({ status: 409 })
  const before = desk.state
  await other.signOn('desk-1', true)
  expect(desk.row.person).toBe('wu')
  other.stop()
  desk.state = before
  await pass(15_000)
  expect(desk.state).toMatchObject({ seat: undefined, last: 'desk-1', gone: 'replaced' })
  expect(desk.why()).toBe('gone')
  expect(desk.kept).toBeUndefined()
  const n = desk.beats.length
  await pass(60_000)
  expect(desk.beats, 'it does not take the seat back by itself').toHaveLength(n)
})

test('A seat that the lead has cleared is told from one that somebody took', async () => {
  await mine.signOn('desk-1')
  desk.row = { ...desk.row, watching: false, left: 'now' }
  await pass(15_000)
  expect(desk.state.gone).toBe('left')
})

test('Without an answer it tries again soon, and says when the server must hold it for silent', async () => {
  await mine.signOn('desk-1')
  desk.cut = true
  await pass(30_000)
  expect(desk.why()).toBeUndefined()
  await pass(16_000)
  expect(desk.why()).toBe('silent')
  desk.cut = false
  await pass(3_000)
  expect(desk.why()).toBeUndefined()
  expect(desk.state.seat).toBe('desk-1')
})

test('After a reload it goes on with its session, and first speaks when the beat is due', async () => {
  await mine.signOn('desk-1')
  await pass(5_000)
  mine.stop()
  const kept = desk.kept!
  mine = desk.keeper('lin')
  desk.senses = { sound: false, stream: false } // as every page begins
  mine.resume(kept)
  mine.poke()
  expect(desk.why()).toBe('sound')
  await pass(9_000)
  desk.senses = { sound: true, stream: true }
  mine.poke()
  expect(desk.beats).toHaveLength(0)
  expect(desk.row.watching, 'a reload loses nothing').toBe(true)
  await pass(1_000)
  expect(desk.beats).toEqual([{ sound: true, stream: true }])
})

test('To sign off ends it here even if the server does not hear it', async () => {
  await mine.signOn('desk-1')
  desk.cut = true
  await expect(mine.signOff()).rejects.toBeInstanceOf(Unreachable)
  expect(desk.kept).toBeUndefined()
  await pass(60_000)
  expect(desk.beats).toHaveLength(0)
})
