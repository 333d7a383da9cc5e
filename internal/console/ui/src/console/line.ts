import { parser, Problem, problemOf, type Message } from '../lib/api'

/** Waits of the line, in ms. The server says something every 15 s, if only a heartbeat. */
export const times = { silent: 20_000, again: 500, longest: 5_000 }

export interface Hooks {
  /** The stream runs. What came before it is to be read from the lists now. */
  up: () => void
  /** The stream does not run any more. */
  down: (why: 'silent' | 'broken' | 'refused') => void
  message: (m: Message) => void
}

/**
 * Line keeps one stream of server-sent events open: begins again where it broke off, waits
 * longer from try to try, and does not believe in a line on which nothing is heard.
 */
export class Line {
  private lastId = ''
  private stopped = false
  private ending = new AbortController()
  private current = new AbortController()
  private wake = () => {}

  constructor(
    private readonly path: string,
    private readonly token: () => string,
    private readonly on: Hooks,
  ) {}

  /** run lasts until stop. */
  async run(): Promise<void> {
    let wait = times.again
    while (!this.stopped) {
      let why: 'silent' | 'broken' | 'refused' = 'broken'
      try {
        why = await this.once(() => (wait = times.again))
      } catch (err) {
        if (err instanceof Problem && (err.status === 401 || err.status === 403)) why = 'refused'
      }
      if (this.stopped) return
      this.on.down(why)
      await this.pause(why === 'refused' ? times.longest : wait)
      wait = Math.min(wait * 2, times.longest)
    }
  }

  stop(): void {
    this.stopped = true
    this.ending.abort()
    this.current.abort()
    this.wake()
  }

  /** broken ends the stream that runs: somebody else knows that it is dead. */
  broken(): void {
    this.current.abort()
  }

  /** again ends the waiting between two tries. */
  again(): void {
    this.wake()
  }

  private async pause(ms: number): Promise<void> {
    await new Promise<void>((go) => {
      const timer = setTimeout(go, ms)
      this.wake = () => {
        clearTimeout(timer)
        go()
      }
    })
    this.wake = () => {}
  }

  private async once(up: () => void): Promise<'silent' | 'broken'> {
    this.current = new AbortController()
    let silent = false
    const quiet = () => {
      silent = true
      this.current.abort()
    }
    let timer = setTimeout(quiet, times.silent)
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' }
      if (this.token()) headers.Authorization = 'Bearer ' + this.token() // without: the session's cookie
      if (this.lastId) headers['Last-Event-ID'] = this.lastId
      const res = await fetch('/api/v1' + this.path, { headers, signal: this.current.signal, cache: 'no-store' })
      if (!res.ok || !res.body) throw await problemOf(res)
      const feed = parser((m) => {
        if (m.id) this.lastId = m.id
        if (m.event === 'gap') this.lastId = ''
        this.on.message(m)
      })
      const reader = res.body.pipeThrough(new TextDecoderStream()).getReader()
      for (let first = true; ; first = false) {
        const { done, value } = await reader.read()
        clearTimeout(timer)
        if (done) return 'broken'
        timer = setTimeout(quiet, times.silent)
        if (first) {
          up()
          this.on.up()
        }
        feed(value)
      }
    } catch (err) {
      if (silent) return 'silent'
      throw err
    } finally {
      clearTimeout(timer)
      this.current.abort()
    }
  }
}
