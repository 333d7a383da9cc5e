import { api } from './session.svelte'

/** What an alarm, which names only its point, is told by. */
export interface Place {
  id: string
  name: string
  kind: string
  address?: string
  building?: string
  floor?: string
  room?: string
  lon?: number
  lat?: number
}

const most = 3_000
const atOnce = 4
const good = 10 * 60_000
const tellEvery = 200 // ms: each telling has every name on the screen looked up again

let version = $state(0)
const known = new Map<string, { place: Place | undefined; at: number }>()
const wanted = new Set<string>()
let asking = 0

/** placeOf gives a point by its id; undefined until it is read. Reactive. */
export function placeOf(id: string | undefined): Place | undefined {
  void version
  if (!id) return undefined
  const has = known.get(id)
  if (!has || Date.now() - has.at > good) {
    wanted.add(id)
    void next()
  }
  return has?.place
}

/** placeWords names a point: its name, or its id until that is known. */
export function placeWords(id: string | undefined): string {
  return placeOf(id)?.name ?? id ?? ''
}

async function next(): Promise<void> {
  if (asking >= atOnce) return
  asking++
  await Promise.resolve() // not within the drawing that asks
  for (let id = first(); id; id = first()) {
    wanted.delete(id)
    let place: Place | undefined = known.get(id)?.place
    try {
      place = await api<Place>('/points/' + encodeURIComponent(id))
    } catch {
      // it has no name then; it is asked for again later
    }
    known.delete(id)
    known.set(id, { place, at: Date.now() })
    if (known.size > most) known.delete(known.keys().next().value!)
    tell()
  }
  asking--
}

let telling: ReturnType<typeof setTimeout> | undefined

function tell(): void {
  telling ??= setTimeout(() => {
    telling = undefined
    version++
  }, tellEvery)
}

const first = () => wanted.values().next().value
