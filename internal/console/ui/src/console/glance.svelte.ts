import { live, serverNow } from './live.svelte'
import { isOver } from './tickets/stages'
import type { Entry, Priority } from './types'

/** The line that tells the state at a glance, worked out from what is known. */
export interface Glance {
  worst: { entry: Entry; type: string; priority: Priority; point?: string; id?: string; raised: string } | undefined
  open: number
  unacked: number
  oldest: string | undefined // raised, of the oldest that nobody has acknowledged
  tickets: number
  overdue: number
  silent: number
  flood: boolean
  practice: number // alarms that are not live
}

const real = (m: string | undefined) => !m || m === 'live'

/** glance counts what is real; where nothing real is registered (a demonstration) it counts all, and practice says so. */
export function glance(): Glance {
  const entries = live.queue.entries
  const all = entries.length > 0 && !entries.some((e) => real(e.alarm?.mode ?? e.group?.mode))
  let oldest: string | undefined
  let silent = 0
  let practice = 0
  for (const e of entries) {
    const g = e.group
    const a = e.alarm
    const n = g?.count ?? 1
    if (!real(a?.mode ?? g?.mode)) practice += n
    if ((a?.type ?? g?.cause) === 'device.offline' && (a?.active ?? true)) silent += n
    const since = a ? (a.acked ? undefined : a.raised) : g && g.unacked > 0 ? g.oldest : undefined
    if (since && (!oldest || since < oldest)) oldest = since
  }
  const first = entries[0]
  const now = serverNow()
  return {
    worst: first && {
      entry: first, type: first.alarm?.type ?? first.group!.members[0]?.type ?? first.group!.cause, priority: first.alarm?.priority ?? first.group!.worst,
      point: first.alarm?.point ?? first.group?.members[0]?.point, id: first.alarm?.id, raised: first.alarm?.raised ?? first.group!.oldest,
    },
    open: live.queue.alarms, unacked: live.queue.unacked, oldest, tickets: live.tickets.length,
    overdue: live.tickets.filter((t) => isOver(t, now)).length,
    silent, flood: !!live.queue.flood, practice: all ? 0 : practice,
  }
}

/** How far the engine is behind, in seconds: frames wait and the newest handled is old. */
export function lag(): number {
  const s = live.system
  if (!s || !s.lanes.some((l) => l.waiting > 0)) return 0
  return Math.max(0, (Date.parse(s.now) - Date.parse(s.engine_time)) / 1000)
}

export type Health = 'live' | 'trouble' | 'lag' | 'connecting' | 'lost' | 'refused'

/** health is how the server may be shown. Only one that talks, answers and has no broken part looks well. */
export function health(): Health {
  if (live.link !== 'live') return live.link
  if (!live.system?.ready) return 'trouble'
  return lag() > 10 ? 'lag' : 'live'
}
