import { untrack } from 'svelte'
import { arm, keepWatch, sound } from '../alarms/sound.svelte'
import { live, onMessage, serverNow } from '../live.svelte'
import { api, by, me } from '../session.svelte'
import type { Page } from '../types'
import type { Seat } from './model'
import { Keeper, whyNot, type Kept, type SeatState, type Senses, type Why } from './seat'

const kept = 'gridgate.seat'

interface State {
  seats: Seat[] | undefined // undefined: not read yet, or this gateway has none
  mine: SeatState
  open: boolean // the drawer of seats
}

let s = $state.raw<State>({ seats: undefined, mine: { busy: false, told: false, heard: 0, silent_s: 45 }, open: false })

/** seats of the desk, as they are now. Reactive, as all here. */
export const seats = (): Seat[] | undefined => s.seats
export const seatOf = (id: string | undefined): Seat | undefined => s.seats?.find((x) => x.id === id)
export const mine = (): SeatState => s.mine

/** The drawer in which one signs on, over whatever screen. */
export const seatsOpen = (): boolean => s.open
export const openSeats = (yes = true): void => void (s = { ...s, open: yes })

const senses = (): Senses => ({ sound: sound() === 'armed', stream: live.link === 'live' })

/** whyMine is what keeps this page from watching; undefined: it watches. It is looked at each second. */
export function whyMine(): Why | undefined {
  void serverNow()
  return whyNot(s.mine, senses(), Date.now())
}

/** watchingSeats counts those that watch: what the server says, and of this page what it knows better. */
export function watchingSeats(): { n: number; of: number } {
  const all = s.seats ?? []
  return { n: all.filter((x) => x.watching && (x.id !== s.mine.seat || !whyMine())).length, of: all.length }
}

function store(k: Kept | undefined): void {
  try {
    if (k) sessionStorage.setItem(kept, JSON.stringify({ ...k, name: me()?.name }))
    else sessionStorage.removeItem(kept)
  } catch {
    // storage is switched off: a reload loses the seat
  }
}

function stored(): Kept | undefined {
  try {
    const k = JSON.parse(sessionStorage.getItem(kept) ?? 'null') as (Kept & { name?: string }) | null
    return k && k.name === me()?.name ? k : undefined // another person has signed on to the desk since
  } catch {
    return undefined
  }
}

const at = (seat: string) => '/seats/' + encodeURIComponent(seat)

const keeper = new Keeper({
  signOn: (seat, now, over) => api<Seat>(at(seat) + '/sign-on', { method: 'POST', body: { ...now, over: over || undefined, by: by() } }),
  beat: (seat, session, now) => api<Seat>(at(seat) + '/beat', { method: 'POST', body: { session, ...now }, within: 8_000 }),
  signOff: (seat, session) => api(at(seat) + '/sign-off', { method: 'POST', body: { session, by: by() }, within: 8_000 }),
  look: async (seat) => (await api<Page<Seat>>('/seats')).items.find((x) => x.id === seat),
  senses,
  keep: store,
  now: Date.now,
  changed: (mine) => (s = { ...s, mine }),
})

/** sit signs on to a seat; the click that asks for it arms the sound too. */
export async function sit(seat: string, over = false): Promise<void> {
  await arm()
  await keeper.signOn(seat, over)
}

/** leave signs off from this page's seat. */
export const leave = (): Promise<void> => keeper.signOff()

/** forget drops the word that a seat was lost: the person has read it. */
export const forget = (): void => keeper.drop(undefined)

/** clear signs off a seat whose page is gone. The server takes it from the lead alone. */
export async function clear(seat: string): Promise<void> {
  await api(at(seat) + '/sign-off', { method: 'POST', body: { by: by() } })
}

async function read(): Promise<void> {
  try {
    const all = (await api<Page<Seat>>('/seats')).items
    s = { ...s, seats: all }
  } catch {
    // a gateway without a desk shows none; a break of the line reads again
  }
}

/** Only one page of a browser has a session: a tab that was made from another has its storage too. */
function alone(k: Kept): Promise<boolean> {
  if (typeof BroadcastChannel === 'undefined') return Promise.resolve(true)
  const line = new BroadcastChannel(kept)
  return new Promise((say) => {
    const end = (yes: boolean) => {
      clearTimeout(timer)
      line.close()
      say(yes)
    }
    const timer = setTimeout(() => end(true), 250)
    line.onmessage = (e) => {
      if (e.data?.has === k.session) end(false)
    }
    line.postMessage({ asks: k.session })
  })
}

function answerOthers(): () => void {
  if (typeof BroadcastChannel === 'undefined') return () => {}
  const line = new BroadcastChannel(kept)
  line.onmessage = (e) => {
    const k = stored()
    if (s.mine.seat && k && e.data?.asks === k.session) line.postMessage({ has: k.session })
  }
  return () => line.close()
}

/** follow keeps the list of seats while somebody is signed on to the desk. Call it in a component's script. */
export function follow(): void {
  $effect(() => {
    void live.round
    void untrack(read)
  })
  $effect(() =>
    onMessage((event, row) => {
      if (event !== 'seat' || !s.seats) return
      const got = row as Seat
      s = { ...s, seats: s.seats.map((x) => (x.id === got.id ? { ...got, name: x.name, beat_s: x.beat_s, silent_s: x.silent_s } : x)) }
    }),
  )
}

/** serve keeps this page's seat and its sound while somebody is signed on to the desk. Call it in a component's script; never on a wall. */
export function serve(): void {
  $effect(() => untrack(keepWatch))
  $effect(() => {
    const k = stored()
    const quiet = answerOthers()
    let gone = false
    if (k) void alone(k).then((yes) => {
      if (gone || keeper.sits) return
      if (yes) keeper.resume(k)
      else store(undefined)
    })
    return () => {
      gone = true
      quiet()
      keeper.stop()
    }
  })
  $effect(() => {
    void senses()
    untrack(() => keeper.poke())
  })
}
