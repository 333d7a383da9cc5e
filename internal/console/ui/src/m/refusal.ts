// What a refusal of the server means to the person before it. The server speaks English, to a
// log or an integrator; here its code and its known sentences become words with what to do.
import { words } from '../lib/words.svelte'
import { meaningOf, ofTickets, type Meaning, type Refused, type Sentences } from '../lib/phone/refusal'
import { texts as shown } from './words'
import { refused } from './texts/refused'

/** Loaded with the first screen that can be refused something. */
const texts = { ...shown, ...refused }
export const t = words(texts)

const id = String.raw`"?(?<point>[^"\s:]+)"?`
const device = String.raw`device (?<device>\S+?)`

/** The server's sentences that a technician can meet, by code; the first that fits. */
const known: Sentences<keyof typeof texts> = {
  conflict: [
    [/^stop (?<n>\d+) of round \S+ is done already/, 'why.stop.done'],
    [/^stop (?<n>\d+) of round \S+ is (?<state>\w+):/, 'why.stop.state'],
    [/^round \S+ (?:is|was) (?<state>\w+):/, 'why.round.state'],
    ...ofTickets.conflict,
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
    ...ofTickets.forbidden,
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
    ...ofTickets.invalid,
  ],
}

/** meaning is the text that says what a refusal means, and the values in it, still in the server's words. */
export const meaning = (p: Refused): Meaning<keyof typeof texts> => meaningOf(p, known)

/** The words of a value by what it is called in the sentence: a state, a move, a field. */
export const wordOf: Record<string, string[]> = {
  state: ['state.', 'round.state.', 'stop.', 'device.state.', 'visit.'],
  verb: ['ticket.'],
  field: ['label.'],
}
