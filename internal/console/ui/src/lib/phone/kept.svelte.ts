import { kept, read, type Read } from '../kept'
import { onBack } from './net.svelte'
import { refusedOf, type Refused } from './refusal'

/** What a screen shows of one path: what was kept at once, then what the server says. */
export class Shown<T> {
  got = $state.raw<Read<T> | undefined>()
  failed = $state.raw<Refused | undefined>()
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
      this.failed = undefined
    } catch (err) {
      this.failed = refusedOf(err)
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
