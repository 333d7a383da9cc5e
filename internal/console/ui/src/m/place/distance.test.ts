import { describe, expect, it } from 'vitest'
import { bearing, metres, nearest, onDial, sayMetres, wind } from './distance'

const here = { lon: 121.4, lat: 31.2 }

describe('distance', () => {
  it('a thousandth of a degree north is 111 m', () => {
    expect(metres(here, { lon: 121.4, lat: 31.201 })).toBeCloseTo(111.2, 1)
  })
  it('a thousandth of a degree east is shorter in Shanghai', () => {
    expect(metres(here, { lon: 121.401, lat: 31.2 })).toBeCloseTo(95.1, 1)
  })
  it('names the wind', () => {
    expect(wind(bearing(here, { lon: 121.401, lat: 31.2 }))).toBe('e')
    expect(wind(bearing(here, { lon: 121.4, lat: 31.1 }))).toBe('s')
    expect(wind(350)).toBe('n')
  })
  it('says metres as a person would', () => {
    expect([0.2, 7.4, 43, 137.4, 1234].map(sayMetres)).toEqual(['1 m', '7 m', '45 m', '140 m', '1.2 km'])
  })
  it('lists the nearest first and leaves out what has no position or is far', () => {
    const points = [
      { id: 'far', lon: 121.5, lat: 31.2 },
      { id: 'second', lon: 121.401, lat: 31.2 },
      { id: 'nowhere' },
      { id: 'first', lon: 121.4, lat: 31.2002 },
    ]
    expect(nearest(here, points).map((n) => n.point.id)).toEqual(['first', 'second'])
  })
  it('draws north up and what is too far on the rim', () => {
    expect(onDial({ metres: 900, bearing: 0 }, 100)).toEqual({ x: 0, y: -1 })
    expect(onDial({ metres: 25, bearing: 90 }, 100).x).toBeCloseTo(0.5)
  })
})
