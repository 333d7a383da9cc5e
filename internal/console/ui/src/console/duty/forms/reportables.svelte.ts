import { api } from '../../session.svelte'
import type { HazardKind, Reportables } from './report'

const good = 5 * 60_000
let now = $state.raw<Reportables>()
let at = 0

/** reportables is what can be reported, and the check-lists: data of the server, read once and again after five minutes. Reactive. */
export function reportables(): Reportables | undefined {
  if (Date.now() - at > good) {
    at = Date.now()
    api<Reportables>('/reportable').then(
      (got) => (now = got),
      () => (at = Date.now() - good + 10_000), // again soon
    )
  }
  return now
}

export const hazardKind = (kind: string | undefined): HazardKind | undefined => reportables()?.hazards.find((h) => h.kind === kind)
