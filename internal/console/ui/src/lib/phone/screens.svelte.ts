// The screens of an app by their place. Each is a file of its own: the first one is shown
// before the others have come, and all have come before the network goes.
import type { Component } from 'svelte'
import type { Place } from '../router.svelte'

/**
 * A screen by its place; "*" stands for any part. The pattern that fits the most parts
 * wins, a named part before a star. A screen reads the rest from place().
 */
export type Screens = Record<string, () => Promise<{ default: Component }>>

/** patternOf is the pattern that a place fits, or the given one. */
export function patternOf(screens: Screens, at: Place, otherwise: string): string {
  const fits = Object.keys(screens)
    .filter((p) => p.split('/').every((part, i) => (part === '*' ? at.parts[i] !== undefined : part === at.parts[i])))
    .sort((a, b) => b.split('/').length - a.split('/').length || a.split('*').length - b.split('*').length)
  return fits[0] ?? otherwise
}

/** Loader keeps the screens that have come. */
export class Loader {
  #screens: Screens
  #come = $state.raw<Record<string, Component>>({})
  /** Why the screen that was asked for last has not come. */
  problem = $state.raw<unknown>()

  constructor(screens: Screens) {
    this.#screens = screens
  }

  /** screen is undefined until it has come. */
  screen(pattern: string): Component | undefined {
    return this.#come[pattern]
  }

  async load(pattern: string): Promise<void> {
    if (this.#come[pattern]) return
    this.problem = undefined
    try {
      const Screen = (await this.#screens[pattern]!()).default
      this.#come = { ...this.#come, [pattern]: Screen }
    } catch (err) {
      this.problem = err
    }
  }

  /**
   * rest brings the other screens, one after another: a phone in a cellar cannot ask for them.
   * Where a service worker answers, all of them are on the phone already; and a newer one
   * takes over only once the old has nothing to answer.
   */
  async rest(): Promise<void> {
    if (navigator.serviceWorker?.controller) return
    for (const pattern of Object.keys(this.#screens)) await this.load(pattern)
    this.problem = undefined // whoever goes there asks again
  }
}
