import type { Entry, Posture, Ticket, Window } from '../../types'
import { whenOf } from './windows'

/** What is not live now: everything that must not be taken for the plain state of the city. */
export interface NotLive {
  posture?: Posture // that is not the normal one
  exercises: Window[] // that run now
  coming: number // exercises that are planned
  windows: Record<string, number> // running, by kind; exercises apart
  running: number
  smokeOut: number // points of windows with a patrol: smoke is out of service with a named patrol alone
  patrols: string[] // who walks there
  practice: Record<string, number> // alarms and tickets that are not live, by mode
  marked: number
}

/** notLive counts it from what the desk knows anyway. */
export function notLive(posture: Posture | undefined, windows: Window[], entries: Entry[], tickets: Ticket[], now: number): NotLive {
  const out: NotLive = { exercises: [], coming: 0, windows: {}, running: 0, smokeOut: 0, patrols: [], practice: {}, marked: 0 }
  if (posture && posture.posture !== 'normal') out.posture = posture
  for (const w of windows) {
    const when = whenOf(w, now)
    if (w.kind === 'exercise') {
      if (when === 'running') out.exercises.push(w)
      if (when === 'coming') out.coming++
      continue
    }
    if (when !== 'running') continue
    out.windows[w.kind] = (out.windows[w.kind] ?? 0) + 1
    out.running++
    if (w.kind !== 'out_of_service' || !w.patrol) continue
    out.smokeOut += w.points?.length ?? 0
    if (!out.patrols.includes(w.patrol)) out.patrols.push(w.patrol)
  }
  const mark = (mode: string | undefined, n: number) => {
    if (!mode || mode === 'live') return
    out.practice[mode] = (out.practice[mode] ?? 0) + n
    out.marked += n
  }
  const seen = new Set<string>()
  for (const t of tickets) {
    mark(t.mode, 1)
    seen.add(t.alarm)
  }
  for (const e of entries) {
    if (e.alarm && !seen.has(e.alarm.id) && !e.alarm.ticket) mark(e.alarm.mode, 1) // one with a ticket is counted with it
    if (e.group) mark(e.group.mode, e.group.count)
  }
  return out
}
