// What a refusal of the server means to the person before it. The server speaks English, to a
// log or an integrator; here its code and its known sentences become words with what to do.
import { Problem, Unreachable } from '../api'

export interface Refused {
  status: number
  code: string
  detail: string
}

export interface Meaning<K extends string = string> {
  key: K
  values: Record<string, string>
}

/** Sentences of the server by code: the first that fits names the text. */
export type Sentences<K extends string = string> = Record<string, [RegExp, K][]>

type OfTickets = 'why.ticket.ended' | 'why.ticket.state' | 'why.ticket.rework' | 'why.term' | 'why.own' | 'why.field'

/** What both apps can meet: the table of moves, whose a ticket is, the form of a body. */
export const ofTickets: Record<'conflict' | 'forbidden' | 'invalid', [RegExp, OfTickets][]> = {
  conflict: [
    [/ticket \S+ is (?<state>\w+): it has ended and takes no (?<verb>\w+)/, 'why.ticket.ended'],
    [/ticket \S+ is (?<state>\w+): (?<verb>\w+) is not allowed/, 'why.ticket.state'],
    [/^attempt is \d+: assignment/, 'why.ticket.rework'],
  ],
  forbidden: [
    [/^term of unit/, 'why.term'],
    [/token reaches/, 'why.own'],
  ],
  invalid: [[/body\.(?<field>\w+)[\w.[\]]*: /, 'why.field']],
}

const plain = ['unreachable', 'invalid', 'not_found', 'conflict', 'unauthorized', 'forbidden', 'internal', 'needs']

/** meaningOf is the text that says what a refusal means, and the values in it, still in the server's words. */
export function meaningOf<K extends string>(p: Refused, known: Sentences<K>): Meaning<K> {
  if (p.status === 413) return { key: 'refused.large' as K, values: {} }
  for (const [sentence, key] of known[p.code] ?? []) {
    const found = sentence.exec(p.detail)
    if (found) return { key, values: { ...found.groups } }
  }
  return { key: (plain.includes(p.code) ? `refused.${p.code}` : 'refused.other') as K, values: {} }
}

/** refusedOf makes one of what was thrown; no answer at all is one too. */
export function refusedOf(err: unknown): Refused {
  if (err instanceof Problem) return { status: err.status, code: err.code, detail: err.detail }
  return { status: 0, code: err instanceof Unreachable ? 'unreachable' : 'other', detail: err instanceof Error ? err.message : String(err) }
}
