import type { Component } from 'svelte'
import type { Place } from '../lib/router.svelte'

type Load = () => Promise<{ default: Component }>

/**
 * A screen by its place; "*" stands for any part. The pattern that fits the most parts
 * wins, a named part before a star. A screen takes no props and reads the rest from
 * place(); it is loaded when it is first opened.
 */
const screens: Record<string, Load> = {
  situation: () => import('./situation/Situation.svelte'),
  alarms: () => import('./alarms/Alarms.svelte'),
  tickets: () => import('./tickets/Tickets.svelte'),
  points: () => import('./points/Points.svelte'),
  devices: () => import('./devices/Devices.svelte'),
  'devices/discovered': () => import('./devices/Discovered.svelte'),
  'devices/quarantine': () => import('./devices/Quarantine.svelte'),
  'devices/frames': () => import('./devices/Frames.svelte'),
  'devices/profiles': () => import('./devices/Profiles.svelte'),
  'devices/imports': () => import('./devices/Imports.svelte'),
  duty: () => import('./duty/Duty.svelte'),
  figures: () => import('./figures/Figures.svelte'),
  'duty/hazards': () => import('./duty/forms/Hazards.svelte'),
  'duty/permits': () => import('./duty/forms/Permits.svelte'),
  'duty/windows': () => import('./duty/forms/Windows.svelte'),
  'duty/exercises': () => import('./duty/forms/Exercises.svelte'),
  'duty/posture': () => import('./duty/forms/Posture.svelte'),
  units: () => import('./units/Units.svelte'),
  system: () => import('./system/System.svelte'),
}

/** The pattern that fits a place, or "situation". The same pattern is the same screen: it is not made anew when only the rest of the place changes. */
export function patternOf(at: Place): string {
  const fits = Object.keys(screens)
    .filter((p) => p.split('/').every((part, i) => (part === '*' ? at.parts[i] !== undefined : part === at.parts[i])))
    .sort((a, b) => b.split('/').length - a.split('/').length || a.split('*').length - b.split('*').length)
  return fits[0] ?? 'situation'
}

/** What stands behind a screen's name as a path is one of its things, and is open in its drawer. */
const things: Record<string, string> = { points: 'point', devices: 'device', alarms: 'alarm' }

/** thingOf is the address of the drawer that "#/points/p1" means, with what else it says; undefined for any other place. */
export function thingOf(at: Place): string | undefined {
  const [screen, id] = at.parts
  const thing = screen && things[screen]
  if (!thing || !id || at.parts.length !== 2 || patternOf(at) !== screen) return undefined
  const query = new URLSearchParams(at.query)
  query.set(thing, id)
  return `#/${screen}?${query}`
}

export async function screenOf(pattern: string): Promise<Component> {
  return (await screens[pattern]!()).default
}
