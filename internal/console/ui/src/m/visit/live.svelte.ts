// A visit while its screen is open: server-sent events, and asking every 3 s where they do not come through.
import { Problem, stream } from '../../lib/api'
import { read } from '../../lib/kept'
import type { Frame, Plans, Visit } from '../model'
import { isOnline } from '../../lib/phone/net.svelte'
import { acts } from '../../lib/phone/queue.svelte'
import { adoptWindow } from '../windows.svelte'
import type { KnownPoint } from '../place/known'
import { World } from '../world.svelte'
import { sessionOf } from './session'
import { fromPlan, overlay, linkOf, waitsHere, type Head } from './view'

export class LiveVisit {
  frames = $state.raw<Frame[]>([])
  polled = $state(false)
  looked = $state(false)
  missing = $state(false)
  #theirs = $state.raw<Visit | null>(null)
  #head = $derived.by(() => this.#headOf())
  #world = new World()
  #plans = $state.raw<Plans | null>(null)
  #gone = new AbortController()

  /** The visit as it is to be shown: the server's word, and what waits here on top. */
  visit: Visit | null = $derived.by(() => {
    const base = this.#theirs ?? (this.#head ? fromPlan(this.#plans?.kinds.find((p) => p.kind === this.#head!.kind), this.#head) : null)
    return base && overlay({ ...base, offline: !isOnline() || this.#theirs === null }, acts())
  })
  local: boolean = $derived.by(() => waitsHere(this.id, acts()))
  /** The server knows this visit: its word can come. */
  known: boolean = $derived(this.#theirs !== null)

  readonly id: string

  constructor(id: string) {
    this.id = id
    void this.#begin()
  }

  /** What the phone itself knows of a visit that it has begun. */
  #headOf(): Head | null {
    const act = acts().find((a) => a.kind === 'visit.open' && a.about?.visit === this.id)
    const body = act?.body as { device: string; point: string; started: string } | undefined
    const point = body && this.#world.point(body.point)
    return body && point ? { id: this.id, device: body.device, point: body.point, kind: point.kind, started: body.started, link: linkOf(body.device) } : null
  }

  /** The point of the visit, as the phone knows it. */
  get point(): KnownPoint | undefined {
    return this.visit ? this.#world.point(this.visit.point) : undefined
  }

  stop(): void {
    this.#gone.abort()
  }

  /** What a step may take over a transport that is not known yet is the longest there is. */
  get plans(): Plans | null {
    return this.#plans
  }

  async #begin(): Promise<void> {
    this.#plans = (await read<Plans>('/commissioning').catch(() => null))?.data ?? null
    while (!this.#gone.signal.aborted) {
      const there = await this.look()
      if (there && isOnline()) await this.#listen()
      await this.#pause(3_000)
    }
  }

  /** Reads the visit once; false while the server does not have it. */
  async look(): Promise<boolean> {
    try {
      const got = await read<Visit>('/visits/' + this.id, this.#gone.signal)
      await this.#take(got.data)
      this.missing = false
      return got.fresh
    } catch (err) {
      this.missing = err instanceof Problem && err.status === 404
      return false
    } finally {
      this.looked = true
    }
  }

  async #take(v: Visit): Promise<void> {
    this.#theirs = v
    if (v.frames?.length && this.frames.length === 0) this.frames = v.frames.slice(-8).reverse()
    if (v.window && v.state === 'open') await adoptWindow(v.window.id, await sessionOf(this.id))
  }

  /** Listens until the line ends; the caller looks and listens again. */
  async #listen(): Promise<void> {
    try {
      this.polled = false
      await stream(`/visits/${this.id}/stream`, (m) => {
        if (m.event === 'visit') void this.#take(JSON.parse(m.data) as Visit)
        if (m.event === 'frame') this.frames = [JSON.parse(m.data) as Frame, ...this.frames].slice(0, 8)
      }, this.#gone.signal)
    } catch {
      this.polled = true // looked at every few seconds until the line is back
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((go) => {
      const timer = setTimeout(go, ms)
      this.#gone.signal.addEventListener('abort', () => (clearTimeout(timer), go()), { once: true })
    })
  }
}
