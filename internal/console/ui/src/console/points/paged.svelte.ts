import { onDestroy } from 'svelte'
import { live } from '../live.svelte'
import { api } from '../session.svelte'
import type { Page } from '../types'

const most = 5_000 // rows held; who looks for more narrows the filter
const settle = 150 // ms of quiet while somebody types

/**
 * Paged is a list of the server that grows as it is scrolled. It begins again when its path
 * changes; what was shown stays until the new is there.
 */
export class Paged<T> {
  rows = $state.raw<T[]>([])
  problem = $state.raw<Error | undefined>()
  loading = $state(true)
  next = $state<string | undefined>()
  private ending: AbortController | undefined
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly path: () => string | undefined) {
    let before: string | undefined
    $effect(() => {
      void live.round
      const now = path()
      clearTimeout(this.timer)
      if (before === undefined || now === before) void this.read()
      else this.timer = setTimeout(() => void this.read(), settle)
      before = now
    })
    onDestroy(() => {
      clearTimeout(this.timer)
      this.ending?.abort()
    })
  }

  /** There is more than may be held. */
  get full(): boolean {
    return this.rows.length >= most
  }

  /** The list may be old. */
  get stale(): boolean {
    return live.link !== 'live' || this.problem !== undefined
  }

  /** read begins from the first row; as many as are shown are read again. */
  async read(): Promise<void> {
    this.next = undefined
    await this.page([])
  }

  /** more gets the rows behind the last. */
  more(): void {
    if (this.next && !this.loading && !this.full) void this.page(this.rows)
  }

  private async page(before: T[]): Promise<void> {
    this.ending?.abort()
    const path = this.path()
    if (path === undefined) {
      this.rows = []
      this.loading = false
      return
    }
    const mine = (this.ending = new AbortController())
    this.loading = true
    try {
      const cursor = this.next ? (path.includes('?') ? '&' : '?') + 'cursor=' + encodeURIComponent(this.next) : ''
      const got = await api<Page<T>>(path + cursor, { signal: mine.signal })
      if (mine.signal.aborted) return
      this.rows = [...before, ...got.items].slice(0, most)
      this.next = got.next
      this.problem = undefined
    } catch (err) {
      if (mine.signal.aborted) return
      this.problem = err as Error
    } finally {
      if (this.ending === mine) this.loading = false
    }
  }
}

/** query writes a path with those values that are said. */
export function query(path: string, values: Record<string, string | number | undefined>): string {
  const q = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) if (value !== undefined && value !== '') q.set(name, String(value))
  const text = q.toString()
  return text ? path + '?' + text : path
}
