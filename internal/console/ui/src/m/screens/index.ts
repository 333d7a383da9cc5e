import type { Component } from 'svelte'
import type { Place } from '../../lib/router.svelte'
import { fieldScreens } from './field'
import Empty from './Empty.svelte'

/** A screen by the first parts of its place, the longest match first. It reads the rest from place(). */
export type Screens = Record<string, Component>

const screens: Screens = { ...fieldScreens, tasks: Empty, me: Empty, queue: Empty }

export function screenOf(at: Place): Component {
  for (let n = Math.min(at.parts.length, 3); n > 0; n--) {
    const found = screens[at.parts.slice(0, n).join('/')]
    if (found) return found
  }
  return screens.scan!
}
