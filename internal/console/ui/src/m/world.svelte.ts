// The phone's picture of points and devices, kept current while a screen is open.
import { acts } from '../lib/phone/queue.svelte'
import { knownPoints, type KnownPoint } from './place/known'
import { packPoints, type PackPoint } from './pack'

export class World {
  #pack = $state.raw<PackPoint[]>([])
  loaded = $state(false)
  points: KnownPoint[] = $derived(knownPoints(this.#pack, acts()))

  constructor() {
    void this.refresh()
  }

  async refresh(): Promise<void> {
    this.#pack = await packPoints().catch(() => [])
    this.loaded = true
  }

  point(id: string): KnownPoint | undefined {
    return this.points.find((p) => p.id === id)
  }

  /** Where a device is, as far as this phone knows. */
  of(device: string): KnownPoint | undefined {
    return this.points.find((p) => p.device === device)
  }
}
