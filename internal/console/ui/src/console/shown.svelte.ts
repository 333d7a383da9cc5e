import { Problem } from '../lib/api'
import { live, onMessage } from './live.svelte'
import { api } from './session.svelte'

const soonest = 1_000 // ms between two readings that the stream asks for

/**
 * Shown is one answer of the server for one panel: read at once, read again when its path
 * changes, after a break of the line, and when the stream tells of something that the panel
 * is about. What was shown stays until the new is there. Make it in a component's script:
 *
 *   const ticket = new Shown<Ticket>(() => `/tickets/${id}`, (event, row) => event === 'ticket' && (row as Ticket).id === id)
 */
export class Shown<T> {
  data = $state.raw<T | undefined>()
  problem = $state.raw<Error | undefined>()
  loading = $state(true)
  private old = $state(false)
  private ending: AbortController | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private last = 0

  constructor(
    private readonly path: () => string | undefined,
    about?: (event: string, row: unknown) => boolean,
  ) {
    let before: string | undefined
    $effect(() => {
      void live.round
      const now = path()
      if (now !== before) {
        this.data = undefined
        this.problem = undefined
      }
      before = now
      void this.read()
    })
    // In an effect, not here: a screen that is left before it has come to stand is never told that it ends.
    $effect(() => {
      const off = about && onMessage((event, row) => about(event, row) && this.soon())
      return () => {
        off?.()
        clearTimeout(this.timer)
        this.timer = undefined
        this.ending?.abort()
      }
    })
  }

  /** The data may be old: the line is lost, or reading it again failed. */
  get stale(): boolean {
    return live.link !== 'live' || this.old
  }

  /** read asks now. */
  async read(): Promise<void> {
    this.ending?.abort()
    const path = this.path()
    if (path === undefined) {
      this.loading = false
      return
    }
    const mine = (this.ending = new AbortController())
    this.loading = true
    this.last = Date.now()
    try {
      const got = await api<T>(path, { signal: mine.signal })
      if (mine.signal.aborted) return
      this.data = got
      this.problem = undefined
      this.old = false
    } catch (err) {
      if (mine.signal.aborted) return
      this.problem = err as Error
      this.old = true
      if (err instanceof Problem && err.status === 404) this.data = undefined
    } finally {
      if (this.ending === mine) this.loading = false
    }
  }

  /** soon asks within a second; many wishes are one. */
  soon(): void {
    this.timer ??= setTimeout(
      () => {
        this.timer = undefined
        void this.read()
      },
      Math.max(100, this.last + soonest - Date.now()),
    )
  }
}
