// What a refusal of the server means to the person before it. The server speaks English, to a
// log or an integrator; here its code and its known sentences become words with what to do.
import { Problem, Unreachable } from '../lib/api'
import { texts } from './texts'
import { refused } from './texts/refused'

export interface Refused {
  status: number
  code: string
  detail: string
}

export interface Meaning {
  key: keyof typeof texts
  values: Record<string, string>
}

type Why = keyof typeof refused
const id = String.raw`"?(?<point>[^"\s:]+)"?`
const device = String.raw`device (?<device>\S+?)`

/** The server's sentences that a technician can meet, by code; the first that fits. */
const known: Record<string, [RegExp, Why][]> = {
  conflict: [
    [/^stop (?<n>\d+) of round \S+ is done already/, 'why.stop.done'],
    [/^stop (?<n>\d+) of round \S+ is (?<state>\w+):/, 'why.stop.state'],
    [/^round \S+ (?:is|was) (?<state>\w+):/, 'why.round.state'],
    [/ticket \S+ is (?<state>\w+): it has ended and takes no (?<verb>\w+)/, 'why.ticket.ended'],
    [/ticket \S+ is (?<state>\w+): (?<verb>\w+) is not allowed/, 'why.ticket.state'],
    [/^attempt is \d+: assignment/, 'why.ticket.rework'],
    [/^point \S+ has device (?<device>\S+) since/, 'why.point.taken'],
    [new RegExp(`^point ${id} is registered already`), 'why.point.there'],
    [new RegExp(`point ${id} is retired`), 'why.point.retired'],
    [new RegExp(`^${device} is at point ${id}:`), 'why.device.placed'],
    [new RegExp(`^${device} is \\w+ and not at point ${id}:`), 'why.device.elsewhere'],
    [/^device \S+ is \w+ and at no point/, 'why.device.replaced'],
    [/^device \S+ has no channel .* at a point/, 'why.device.replaced'],
    [/^device \S+ is (?<state>\w+): (?:revive it|want it revived)/, 'why.device.out'],
    [/^device \S+ is in use elsewhere/, 'why.device.used'],
    [/^device \S+ is retired/, 'why.device.retired'],
    [/^at is \S+: device \S+ is at point \S+ only since/, 'why.device.early'],
    [/^code is of device (?<device>\S+): want that of (?<want>\S+)/, 'why.code.other'],
    [/^the token of device \S+ was used/, 'why.code.used'],
    [/^visit \S+ is signed by (?<name>.+) and waits/, 'why.visit.signed'],
    [/^visit \S+ has (?<state>\w+) at/, 'why.visit.over'],
    [/^steps (?<steps>.+) of visit/, 'why.visit.steps'],
    [/^visit \S+ has no question/, 'why.visit.question'],
  ],
  forbidden: [
    [/^point \S+ would not be in your hands/, 'why.hands.new'],
    [new RegExp(`^point ${id} is not in`), 'why.hands'],
    [/has a label with a claim token/, 'why.code.need'],
    [/^the token (?:of device \S+ has expired|is not one of)/, 'why.code.expired'],
    [/^the label of device \S+ does not hold/, 'why.code.expired'],
    [/is meant for another contractor or place/, 'why.contractor'],
    [/^term of unit/, 'why.term'],
    [/token reaches/, 'why.own'],
  ],
  not_found: [
    [/^device \S+ (?:is not among the discovered|was not heard)/, 'why.silent'],
    [/^device (?<device>\S+?):? (?:is )?not registered/, 'why.device.unknown'],
    [new RegExp(`point ${id}:? (?:is )?not (?:found|known|registered)`), 'why.point.unknown'],
  ],
  invalid: [
    [/^(?:at|started) is .*want a time that is not to come/, 'why.ahead'],
    [/^(?:at|started) is .*want one of the last (?<n>\d+) days/, 'why.late'],
    [/^reasons? is (?:missing|empty)/, 'why.reason'],
    [/^next is /, 'why.next'],
    [/building \S+ is (?:in|on site) /, 'why.building'],
    [/(?:^|: )(?:the )?(?:position|cell|street|community|district) .*(?:lies|is not known|outside)/, 'why.place'],
    [/^device \S+: profile /, 'why.profile'],
    [/^device \S+ has (?<n>\d+) channels/, 'why.channels'],
    [/passcode that everybody guesses/, 'why.code.guess'],
    [/^photo \S+ is of /, 'why.photo'],
    [/body\.(?<field>\w+)[\w.[\]]*: /, 'why.field'],
  ],
}

const plain = ['unreachable', 'invalid', 'not_found', 'conflict', 'unauthorized', 'forbidden', 'internal', 'needs']

/** meaning is the text that says what a refusal means, and the values in it, still in the server's words. */
export function meaning(p: Refused): Meaning {
  if (p.status === 413) return { key: 'refused.large', values: {} }
  for (const [sentence, key] of known[p.code] ?? []) {
    const found = sentence.exec(p.detail)
    if (found) return { key, values: { ...found.groups } }
  }
  return { key: plain.includes(p.code) ? (`refused.${p.code}` as keyof typeof texts) : 'refused.other', values: {} }
}

/** refusedOf makes one of what was thrown; no answer at all is one too. */
export function refusedOf(err: unknown): Refused {
  if (err instanceof Problem) return { status: err.status, code: err.code, detail: err.detail }
  return { status: 0, code: err instanceof Unreachable ? 'unreachable' : 'other', detail: err instanceof Error ? err.message : String(err) }
}

/** The words of a value by what it is called in the sentence: a state, a move, a field. */
export const wordOf: Record<string, string[]> = {
  state: ['state.', 'round.state.', 'stop.', 'device.state.', 'visit.'],
  verb: ['ticket.'],
  field: ['label.'],
}
