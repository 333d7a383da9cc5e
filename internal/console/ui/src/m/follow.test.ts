import { describe, expect, it } from 'vitest'
import type { Act, NewAct } from '../lib/phone/act'
import { follow } from './follow'

const act = (id: string, kind: string, about: Act['about'], body: unknown = {}, state: Act['state'] = 'waiting') =>
  ({ id, n: 1, key: id, at: '', kind, title: { zh: '', en: '' }, method: 'POST', path: '/', about, body, state, tries: 0 }) as Act
const next = (kind: string, about: Act['about']): NewAct => ({ kind, about, title: { zh: '', en: '' }, method: 'POST', path: '/' })

describe('the order of the field', () => {
  const queue = [
    act('point', 'point.create', { point: 'p-1' }),
    act('claim', 'device.claim', { point: 'p-1', device: 'eui:1' }),
    act('open', 'visit.open', { visit: 'v', device: 'eui:1', point: 'p-1' }),
    act('photo', 'photo', { visit: 'v', point: 'p-1' }),
    act('step', 'visit.step', { visit: 'v', device: 'eui:1', point: 'p-1' }),
    act('else', 'device.claim', { point: 'p-2', device: 'eui:2' }),
  ]
  it('claims when the point is made', () => expect(follow(queue.slice(0, 1), next('device.claim', { point: 'p-1', device: 'eui:1' }))).toEqual(['point']))
  it('steps when the visit is begun', () => expect(follow(queue, next('visit.step', { visit: 'v', device: 'eui:1', point: 'p-1' }))).toEqual(['point', 'claim', 'open']))
  it('ends a visit after all of it', () => expect(follow(queue, next('visit.finish', { visit: 'v', device: 'eui:1', point: 'p-1' }))).toEqual(['point', 'claim', 'open', 'photo', 'step']))
  it('sends a photo of a point that is known to the server at once', () => expect(follow(queue.slice(1), next('photo', { visit: 'v', point: 'p-1' }))).toEqual([]))
  it('visits the new device of a swap after the swap', () => {
    expect(follow([act('swap', 'device.replace', { device: 'eui:1', point: 'p-1' }, { with: 'eui:3' })], next('visit.open', { visit: 'w', device: 'eui:3', point: 'p-1' }))).toEqual(['swap'])
  })
  it('waits for nothing that is done', () => expect(follow([act('point', 'point.create', { point: 'p-1' }, {}, 'done')], next('device.claim', { point: 'p-1' }))).toEqual([]))
})
