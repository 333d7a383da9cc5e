import { describe, expect, it } from 'vitest'
import type { Act } from '../../lib/phone/act'
import { knownPoints, placeWords, search } from './known'

const pack = [
  { id: 's-1', name: '3号楼烟感', kind: 'smoke', building: 'b-3', floor: '2F', device: 'eui:1', lon: 121.4, lat: 31.2 },
  { id: 'm-1', name: 'Manhole 7', kind: 'manhole' },
]
const act = (kind: string, body: unknown, about: Act['about'] = {}, state: Act['state'] = 'waiting'): Act =>
  ({ id: kind, n: 1, key: '', at: '', kind, title: { zh: '', en: '' }, method: 'POST', path: '/', body, about, state, tries: 0 }) as Act
const deviceAt = (acts: Act[], id: string) => knownPoints(pack, acts).find((p) => p.id === id)?.device

describe('what the phone knows', () => {
  it('has a point that was made here and says that it is only here', () => {
    const p = knownPoints(pack, [act('point.create', { id: 'p-9', name: '新', kind: 'door', lon: 121.5, lat: 31.3 })])
    expect(p.at(-1)).toMatchObject({ id: 'p-9', local: true, lon: 121.5 })
  })
  it('puts a claimed device at its point', () => {
    expect(deviceAt([act('device.claim', { profile: 'v/m', installations: [{ point: 'm-1' }] }, { device: 'eui:2' })], 'm-1')).toBe('eui:2')
  })
  it('leaves out what was refused', () => {
    expect(deviceAt([act('device.claim', { installations: [{ point: 'm-1' }] }, { device: 'eui:2' }, 'refused')], 'm-1')).toBeUndefined()
  })
  it('swaps, moves and takes away', () => {
    expect(deviceAt([act('device.replace', { with: 'eui:2' }, { point: 's-1', device: 'eui:1' })], 's-1')).toBe('eui:2')
    const moved = [act('device.move', { point: 'm-1' }, { device: 'eui:1' })]
    expect([deviceAt(moved, 's-1'), deviceAt(moved, 'm-1')]).toEqual([undefined, 'eui:1'])
    expect(deviceAt([act('device.bar', {}, { device: 'eui:1' })], 's-1')).toBeUndefined()
  })
})

it('finds by all words, in any part of the place', () => {
  const points = knownPoints(pack, [])
  expect(search(points, '烟感 2f').map((p) => p.id)).toEqual(['s-1'])
  expect(search(points, 'eui:1').map((p) => p.id)).toEqual(['s-1'])
  expect(search(points, '  ')).toEqual([])
})
it('says a place', () => expect(placeWords({ address: '愚园路 1 号', floor: '2F', room: '' })).toBe('愚园路 1 号 · 2F'))
