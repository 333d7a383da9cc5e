// What a unit's own acts lead to before the server has said so.

/** after is the state that the unit's own acts lead to, while the server has not said it. */
export function after(state: string, verbs: string[]): string {
  const to: Record<string, string> = { accept: 'accepted', arrive: 'in_progress', resolve: 'resolved', return: 'returned' }
  return verbs.reduce((s, v) => to[v] ?? s, state)
}
