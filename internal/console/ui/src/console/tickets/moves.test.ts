import { expect, test } from 'vitest'
import moves from '../../../../../ticket/testdata/moves.golden?raw'
import type { Ticket } from '../types'
import { fits } from './stages'
import { bodyOf, missing, offers, table, type Offer, type Who } from './moves'

const now = Date.parse('2026-01-01T12:00:00Z')
const part = (state: string) => ({ id: 'T.1', ticket: 'T', unit: 'u', lead: true, tier: 2, state, attempt: 1, since: '2026-01-01T00:00:00Z' })
const ticket = (state: string, more: Partial<Ticket> = {}): Ticket => ({
  id: 'T', case: 'C', type: 'door.held_open', priority: 3, mode: 'live', alarm: 'A', state, verification: 'unverified', tier: 2, rework: 0, returns: 0, opened: '',
  title: '', place: '', assignments: [], moves: 0, revision: 0, ...more,
})
const operator: Who = { name: 'li', role: 'operator', wall: false }
const supervisor: Who = { name: 'chen', role: 'supervisor', wall: false }
const free = (t: Ticket, who: Who, verb: string) => offers(t, who, now).some((o) => o.verb === verb && !o.bar)

/** What comes of each move, by verb, state and role, as the server's own test has written it down. */
function golden(): { verb: string; state: string; operator: boolean; supervisor: boolean }[] {
  const out = []
  let verb = ''
  let columns: number[] = []
  for (const line of moves.split('\n')) {
    const head = line.match(/^([a-z_]+)( true| false| unable)? +unit +operator +supervisor +system/)
    if (head) {
      verb = head[1]!
      columns = ['operator', 'supervisor', 'system'].map((r) => line.indexOf(r))
      continue
    }
    const state = line.match(/^ {2}([a-z_]+) /)?.[1]
    if (!verb || !state) continue
    const may = (i: number) => /^(→|ok)/.test(line.slice(columns[i], columns[i + 1]).trim())
    out.push({ verb, state, operator: may(0), supervisor: may(1) })
  }
  return out
}

/** Where the lead stands when the ticket is in a state. */
const leadOf: Record<string, string> = { checking: 'resolved', rework: 'dispatched' }

test('What is offered is what the server takes, by state and role', () => {
  const lines = golden()
  expect(lines.length).toBeGreaterThan(200)
  const known = new Set<string>(table.map((l) => l.verb))
  for (const g of lines.filter((l) => known.has(l.verb) && l.state !== 'rework')) {
    const t = ticket(g.state, { assignments: [part(leadOf[g.state] ?? g.state)], members: [{ alarm: 'A' }, { alarm: 'B' }] })
    expect(free(t, operator, g.verb), `${g.verb} from ${g.state} by an operator`).toBe(g.operator)
    expect(free(t, supervisor, g.verb), `${g.verb} from ${g.state} by a supervisor`).toBe(g.supervisor)
  }
  const done = lines.filter((l) => !known.has(l.verb)).map((l) => l.verb)
  expect([...new Set(done)]).toEqual(['done']) // it is made at the task itself
})

test('What is barred says why', () => {
  const bar = (t: Ticket, who: Who, verb: string) => offers(t, who, now).find((o) => o.verb === verb)?.bar
  expect(bar(ticket('in_progress', { priority: 1, assignments: [part('in_progress')] }), operator, 'suspend')).toBe('bar.p1')
  expect(bar(ticket('returned', { returns: 2 }), operator, 'assign')).toBe('bar.supervisor')
  expect(bar(ticket('returned', { returns: 2 }), supervisor, 'assign')).toBeUndefined()
  expect(bar(ticket('filed', { members: [{ alarm: 'A' }] }), operator, 'split')).toBe('bar.alone')
  expect(bar(ticket('filed'), { ...operator, wall: true }, 'note')).toBe('bar.wall')
})

test('A forced close wants a second supervisor, within half an hour', () => {
  const asked = (minutes: number) => ticket('filed', { asked: { verb: 'force_close', by: { name: 'chen' }, at: new Date(now - minutes * 60_000).toISOString(), reason: 'x' } })
  const offer = (t: Ticket, who: Who) => offers(t, who, now).find((o) => o.verb === 'force_close')!
  expect(offer(asked(10), supervisor).bar).toBe('bar.second')
  expect(offer(asked(10), { ...supervisor, name: 'wu' })).toMatchObject({ agrees: true, bar: undefined })
  expect(offer(asked(31), supervisor)).toMatchObject({ agrees: false, bar: undefined })
})

test('A move says what it still wants', () => {
  const wants = (verb: string) => {
    const l = table.find((x) => x.verb === verb)!
    return { verb: l.verb, needs: l.needs } as Offer
  }
  expect(missing(wants('return'), { reason: 'not ours' }, now)).toEqual(['source', 'unit'])
  expect(missing(wants('cancel'), { reason: 'steam', onSite: true }, now)).toEqual([])
  expect(missing(wants('cancel'), { reason: 'steam' }, now)).toEqual(['present'])
  expect(missing(wants('cancel'), { reason: '  ', source: 'guard' }, now)).toEqual(['reason'])
  expect(missing(wants('confirm'), { onSite: true, evidence: 'file:1' }, now)).toEqual([])
  expect(missing(wants('suspend'), { reason: 'x', until: '2026-01-01T00:00' }, now)).toEqual(['until'])
})

test('A move says which part and attempt it answers, and nothing that was left empty', () => {
  const body = JSON.parse(JSON.stringify(bodyOf({ verb: 'accept', part: part('dispatched') }, { source: ' station ', reason: '' })))
  expect(body).toEqual({ verb: 'accept', assignment: 'T.1', attempt: 1, source: 'station' })
})

test('A ticket that no unit has yet is shown and can be assigned', () => {
  const t = ticket('filed', { assignments: null })
  expect(free(t, operator, 'assign')).toBe(true)
  expect(fits(t, { unit: 'u' }, now)).toBe(false)
  expect(fits(t, { text: 'nothing of it' }, now)).toBe(false)
})
