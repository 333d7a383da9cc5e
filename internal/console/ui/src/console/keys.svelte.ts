import { untrack } from 'svelte'

/** One shortcut: a key ("a", "Escape"), or "g" and a key ("g a"). label is what the help calls it. */
export interface Shortcut {
  key: string
  label: string
  run: () => void
  group?: string
}

let sets = $state.raw<{ n: number; all: () => Shortcut[] }[]>([])
let n = 0

/** useKeys makes shortcuts work while the component that calls it lives; the newest win. */
export function useKeys(all: () => Shortcut[]): void {
  $effect(() => {
    const mine = { n: ++n, all }
    sets = [...untrack(() => sets), mine]
    return () => (sets = sets.filter((x) => x !== mine))
  })
}

export function shortcuts(): Shortcut[] {
  return sets.flatMap((x) => x.all())
}

let prefix = 0

/** typing is where keys are letters. */
function typing(e: KeyboardEvent): boolean {
  const on = e.target as HTMLElement
  return on.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(on.tagName) || !!on.closest('dialog')
}

/** onKey is the one listener of the window. */
export function onKey(e: KeyboardEvent): void {
  if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || typing(e)) return
  const after = Date.now() - prefix < 1_500 ? 'g ' : ''
  prefix = 0
  if (e.key === 'g' && !after) {
    prefix = Date.now()
    return
  }
  const hit = shortcuts().findLast((x) => x.key === after + e.key)
  if (!hit) return
  e.preventDefault()
  hit.run()
}
