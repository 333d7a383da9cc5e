// What of an act's body a person can read and change where no screen of its own does it.

const hidden = new Set(['id', 'by', 'at', 'session', 'started', 'photo', 'token', 'key', 'offline'])

/** texts are the words in a body that a person may change. */
export function texts(body: unknown): Record<string, string> {
  if (!body || typeof body !== 'object' || Array.isArray(body)) return {}
  return Object.fromEntries(Object.entries(body).filter((e): e is [string, string] => typeof e[1] === 'string' && !hidden.has(e[0]) && !e[1].includes('{{act:')))
}

/** set puts changed words back; an emptied one is left out. */
export function set(body: unknown, to: Record<string, string>): unknown {
  const out: Record<string, unknown> = { ...(body as Record<string, unknown>) }
  for (const [k, v] of Object.entries(to)) {
    if (v === '') delete out[k]
    else out[k] = v
  }
  return out
}

/** words are the lines that tell two sides apart, at most a dozen. */
export function words(v: unknown): [string, string][] {
  if (!v || typeof v !== 'object') return []
  return Object.entries(v)
    .filter(([k, x]) => !hidden.has(k) && ['string', 'number', 'boolean'].includes(typeof x) && x !== '' && !String(x).includes('{{act:'))
    .slice(0, 12)
    .map(([k, x]) => [k, String(x)])
}
