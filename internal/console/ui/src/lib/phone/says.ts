import { createContext, type Component } from 'svelte'
import type { Refused } from './refusal'

/** What an app says itself in the parts that both use. */
export interface Says {
  Refusal: Component<{ problem: Refused }> // why the server did not take something
  label(field: string): string // of a field of an act's body
  word(kind: string, value: string): string | undefined // a state, a move, a type
}

/** says gives it to the parts; setSays is called by the app, once. */
export const [says, setSays] = createContext<Says>()
