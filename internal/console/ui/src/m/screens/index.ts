import type { Component } from 'svelte'
import type { Place } from '../../lib/router.svelte'
import { fieldScreens } from './field'
import Me from './Me.svelte'
import NoEntry from './NoEntry.svelte'
import Queue from './Queue.svelte'
import Round from './Round.svelte'
import Task from './Task.svelte'
import Tasks from './Tasks.svelte'
import WindowNew from './WindowNew.svelte'
import Windows from './Windows.svelte'

/**
 * A screen by its place; "*" stands for any part. The pattern that fits the most parts
 * wins, a named part before a star. A screen reads the rest from place().
 */
export type Screens = Record<string, Component>

const screens: Screens = {
  ...fieldScreens,
  tasks: Tasks,
  'tasks/*': Task,
  'rounds/*': Round,
  'rounds/*/no-entry': NoEntry,
  windows: Windows,
  'windows/new': WindowNew,
  me: Me,
  queue: Queue,
}

export function screenOf(at: Place): Component {
  const fits = Object.keys(screens)
    .filter((p) => p.split('/').every((part, i) => (part === '*' ? at.parts[i] !== undefined : part === at.parts[i])))
    .sort((a, b) => b.split('/').length - a.split('/').length || a.split('*').length - b.split('*').length)
  return screens[fits[0] ?? 'scan']!
}
