import { arriving, go, place } from '../lib/router.svelte'

/** What is selected. It stands in the address, so that it is the same in every panel, after a reload, and for whom the address is sent to. */
export interface Selection {
  point?: string
  cell?: string
  alarm?: string
  ticket?: string
}

const names = ['point', 'cell', 'alarm', 'ticket'] as const

export function selection(): Selection {
  const q = place().query
  return Object.fromEntries(names.flatMap((n) => (q.get(n) ? [[n, q.get(n)!]] : [])))
}

/** select changes the given parts; undefined takes one away. What else stands in the address stays. */
export function select(s: Selection): void {
  change(s as Record<string, string | undefined>)
}

/** selectOnly takes the place of all that was selected: nothing of it clears. */
export function selectOnly(s: Selection = {}): void {
  change({ ...Object.fromEntries(names.map((n) => [n, undefined])), ...s })
}

/**
 * change sets values of the address' query, such as a screen's filters; undefined or "" takes one
 * away. It adds no step to go back over. What a screen says that is being left (a map that comes
 * to rest) is not heard any more: it would bring the address back.
 */
export function change(values: Record<string, string | undefined>, step = false): void {
  const at = arriving()
  if (at.path !== place().path) return
  const q = new URLSearchParams(at.query)
  for (const [name, value] of Object.entries(values)) {
    if (value) q.set(name, value)
    else q.delete(name)
  }
  const text = q.toString()
  const to = '#/' + at.parts.map(encodeURIComponent).join('/') + (text ? '?' + text : '')
  if (to === location.hash) return
  if (step) go(to)
  else location.replace(to)
}
