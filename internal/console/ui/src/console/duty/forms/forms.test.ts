import { describe, expect, test } from 'vitest'
import type { Alarm, Posture, Ticket, Window } from '../../types'
import { answersOf, missing as lacks, offers, type Hazard } from './hazard'
import { notLive } from './notlive'
import { bodyOf, emptyDraft, masked, missing, numberOf, placeOf, untouched, type HazardKind } from './report'
import { bodyOf as windowBody, familyOf, missing as windowLacks, ordered, questions, whenOf, type NewWindow } from './windows'

const now = Date.parse('2026-03-02T08:00:00Z')
const at = (min: number) => new Date(now + min * 60_000).toISOString()

describe('A report', () => {
  test('wants an event and a place, and no number', () => {
    const d = emptyDraft(new Date(now))
    expect(untouched(d)).toBe(true)
    expect(missing(d)).toEqual(['what', 'where'])
    d.what = 'manhole.open'
    d.where = { text: '天山路 18 号门口' }
    expect(missing(d)).toEqual([])
    expect(untouched(d)).toBe(false)
    d.external = '编号 7'
    expect(missing(d)).toEqual(['external'])
  })
  test('keeps the number that the desk gave it, so that it is filed once', () => {
    const d = emptyDraft(new Date(now))
    expect(numberOf(d)).toBe(numberOf(JSON.parse(JSON.stringify(d))))
    expect(numberOf(d)).toMatch(/^[0-9A-Za-z][0-9A-Za-z._:/-]*$/)
    d.external = ' 20260302-0017 '
    expect(numberOf(d)).toBe('20260302-0017')
  })
  test('names a point by its id alone, and a position with its system', () => {
    expect(placeOf({ text: '3号楼烟感', point: 'p-1', cell: '310105005001001', lon: 121.4, lat: 31.2 })).toEqual({ point: 'p-1' })
    expect(placeOf({ text: '', lon: 121.4, lat: 31.2, cell: '310105005001001' })).toEqual({ cell: '310105005001001', position: { lon: 121.4, lat: 31.2, crs: 'WGS84' } })
  })
  test('joins an open ticket only as an event, and carries answers only as a hazard', () => {
    const d = { ...emptyDraft(new Date(now)), what: 'manhole.open', where: { text: 'here' }, priority: 2 as const }
    expect(bodyOf(d, 't-1')).toMatchObject({ type: 'manhole.open', into: 't-1', priority: 'P2', place: 'here' })
    const h = bodyOf({ ...d, what: 'hazard.exit_blocked', answers: { free: 'no' } }, 't-1')
    expect(h).toMatchObject({ kind: 'exit_blocked', answers: [{ question: 'free', answer: 'no' }] })
    expect(h.into).toBeUndefined()
    expect(h.priority).toBeUndefined()
  })
  test('says before it is sent what will not be kept', () => {
    expect(masked('王先生 13800138000 说井盖没了，邮箱 a@b.cn')).toEqual(['13800138000', 'a@b.cn'])
    expect(masked('天山路 18 弄 3 号楼 1201 室')).toEqual([])
  })
})

const kind: HazardKind = {
  kind: 'exit_blocked', title_zh: '', title_en: '', level: 'major', priority: 2,
  questions: [{ id: 'free', zh: '', en: '', danger: 'no' }, { id: 'locked', zh: '', en: '', danger: 'yes' }],
}
const hazard = (more: Partial<Hazard> = {}): Hazard => ({
  id: 'h', kind: 'exit_blocked', level: 'major', mode: 'live', place: '', source: 'patrol', found: at(-60), deadline: at(60), since: at(-60), state: 'rechecking', ticket: 't', ...more,
})
const none = { answers: {}, before: 0, after: 0 }

describe('A hazard', () => {
  const steps = [
    { verb: 'pass', who: ['operator', 'supervisor'], from: ['rectified', 'rechecking'], to: 'closed' },
    { verb: 'extend', who: ['supervisor'], from: ['notified'] },
  ]
  test('offers the moves of its state, and says which are another role’s or too many', () => {
    expect(offers(hazard(), steps, 'operator')).toEqual([{ verb: 'pass', bar: undefined }])
    expect(offers(hazard({ state: 'notified' }), steps, 'operator')).toEqual([{ verb: 'extend', bar: 'bar.supervisor' }])
    const x = { from: at(0), to: at(1), reason: '', by: { name: '' }, at: at(0) }
    expect(offers(hazard({ state: 'notified', extensions: [x, x] }), steps, 'supervisor')).toEqual([{ verb: 'extend', bar: 'bar.often' }])
  })
  test('passes only when every question is answered, and none as the danger would be', () => {
    const said = { ...none, person: 'lin', reason: 'free' }
    expect(lacks('pass', hazard(), kind, said)).toEqual(['all'])
    expect(lacks('pass', hazard({ answers: [{ question: 'free', answer: 'no' }, { question: 'locked', answer: 'no' }] }), kind, said)).toEqual(['safe'])
    expect(lacks('pass', hazard({ answers: [{ question: 'free', answer: 'no' }] }), kind, { ...said, answers: { free: 'yes', locked: 'na' } })).toEqual([])
    expect(answersOf(hazard({ answers: [{ question: 'free', answer: 'no' }] }), { free: 'yes' })).toEqual({ free: 'yes' })
  })
  test('moves its deadline to later alone', () => {
    const said = { ...none, reason: 'closer is ordered' }
    expect(lacks('extend', hazard(), kind, { ...said, until: at(30) })).toEqual(['until'])
    expect(lacks('extend', hazard(), kind, { ...said, until: at(90) })).toEqual([])
  })
})

const window_ = (id: string, kind: string, from: number, to: number, ended?: number): Window => ({
  id, kind, from: at(from), to: at(to), by: { role: 'operator', name: 'lin' }, mode: 'live', points: ['p'], ...(ended === undefined ? {} : { ended: at(ended) }),
})
const n: NewWindow = { kind: 'permit', points: ['m-1'], types: [], from: '', hours: 4, reason: '清淤', holder: 'u-drains', patrol: '', lead: '', script: [] }

describe('A window', () => {
  test('runs, comes or has ended', () => {
    expect(whenOf(window_('a', 'permit', -5, 5), now)).toBe('running')
    expect(whenOf(window_('a', 'permit', 5, 50), now)).toBe('coming')
    expect(whenOf(window_('a', 'permit', -5, 5, -1), now)).toBe('ended')
    expect(whenOf(window_('a', 'permit', -5, -1), now)).toBe('ended') // its end is under way
  })
  test('stands before others when it ends sooner', () => {
    const all = [window_('ended', 'permit', -9, 9, -1), window_('soon', 'permit', 10, 20), window_('long', 'permit', -1, 60), window_('short', 'permit', -1, 6)]
    expect(ordered(all, now).map((w) => w.id)).toEqual(['short', 'long', 'soon', 'ended'])
  })
  test('wants what its kind wants', () => {
    expect(windowLacks(n, false, now)).toEqual([])
    expect(windowLacks({ ...n, holder: '', points: [], reason: '' }, false, now)).toEqual(['points', 'holder', 'reason'])
    expect(windowLacks({ ...n, kind: 'out_of_service' }, true, now)).toEqual(['patrol'])
    expect(windowLacks({ ...n, kind: 'exercise', reason: '' }, false, now)).toEqual(['lead', 'script'])
    expect(windowLacks({ ...n, from: at(-9) }, false, now)).toEqual(['from'])
    expect(windowBody({ ...n, lead: 'wu', patrol: 'lin' })).toMatchObject({ kind: 'permit', holder: 'u-drains', for: '4h', lead: undefined, patrol: undefined })
  })
  test('asks first what is due first', () => {
    const a = (id: string, kind: string, due: number, state = 'asked') => ({ id, raised: at(0), cover: { window: 'w', kind, state, due: at(due) } }) as unknown as Alarm
    expect(questions([a('late', 'permit', 9), a('soon', 'permit', 2), a('done', 'permit', 1, 'guarded'), a('test', 'maintenance', 1)], 'permits').map((q) => q.alarm.id)).toEqual(['soon', 'late'])
    expect(familyOf('commissioning')).toBe('windows')
  })
})

describe('What is not live', () => {
  test('is counted once, and what is planned is not running', () => {
    const posture = { id: 'x', posture: 'typhoon', from: at(-5), to: at(60) } as Posture
    const tickets = [{ id: 't', alarm: 'a', mode: 'exercise' }, { id: 'u', alarm: 'b', mode: 'live' }] as Ticket[]
    const entries = [{ alarm: { id: 'a', mode: 'exercise', ticket: 't' } }, { alarm: { id: 'c', mode: 'test' } }, { group: { mode: 'simulated', count: 7 } }] as never[]
    const smoke = { ...window_('s', 'out_of_service', -1, 9), patrol: 'wu' } // smoke is out of service with a patrol alone
    const got = notLive(posture, [window_('e', 'exercise', -1, 9), window_('f', 'exercise', 5, 9), window_('g', 'permit', -1, 9), window_('h', 'out_of_service', -1, 9), smoke], entries, tickets, now)
    expect(got).toMatchObject({ running: 3, windows: { permit: 1, out_of_service: 2 }, coming: 1, smokeOut: 1, patrols: ['wu'], practice: { exercise: 1, test: 1, simulated: 7 }, marked: 9 })
    expect(got.exercises.map((w) => w.id)).toEqual(['e'])
    const calm = notLive({ ...posture, posture: 'normal' }, [], [], [], now)
    expect(calm).toMatchObject({ marked: 0, running: 0 })
    expect(calm.posture).toBeUndefined()
  })
})
