import { kept, read, type Read } from '../lib/kept'
import { onBack } from './net.svelte'

/** What a screen shows of one path: what was kept at once, then what the server says. */
export class Shown<T> {
  got = $state.raw<Read<T> | undefined>()
  failed = $state('')
  #path: string

  constructor(path: string) {
    this.#path = path
    void kept<T>(path).then((k) => (this.got ??= k))
    void this.refresh()
    watching.add(this as Shown<unknown>)
  }

  async refresh(): Promise<void> {
    try {
      this.got = await read<T>(this.#path)
      this.failed = ''
    } catch (err) {
      this.failed = String((err as Error).message)
    }
  }

  stop(): void {
    watching.delete(this as Shown<unknown>)
  }
}

const watching = new Set<Shown<unknown>>()
onBack(() => {
  for (const s of watching) void s.refresh()
})
