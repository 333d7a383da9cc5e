import { api } from '../session.svelte'
import type { Page } from '../types'

export interface Unit {
  id: string
  name: string
  kind: string
  tier: number
  mode?: string
}

const good = 5 * 60_000
const now = $state<{ units: Unit[] }>({ units: [] })
let readAt = 0

/** units are those who handle tickets, read once and again after five minutes. Reactive. */
export function units(): Unit[] {
  if (Date.now() - readAt > good) {
    readAt = Date.now()
    void read().catch(() => (readAt = 0))
  }
  return now.units
}

async function read(): Promise<void> {
  const out: Unit[] = []
  let next: string | undefined
  do {
    const p: Page<Unit> = await api(`/units?limit=1000${next ? '&cursor=' + encodeURIComponent(next) : ''}`)
    out.push(...(p.items ?? []))
    next = p.next
  } while (next && out.length < 5_000)
  now.units = out.sort((a, b) => a.tier - b.tier || a.name.localeCompare(b.name))
}

/** unitName is what a unit is called; its id until that is known. */
export const unitName = (id: string | undefined): string => units().find((u) => u.id === id)?.name || id || ''
