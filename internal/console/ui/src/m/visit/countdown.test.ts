import { describe, expect, it } from 'vitest'
import { left, span } from './countdown'

describe('countdown', () => {
  it('counts down and is late at its end, not before', () => {
    expect(left(0, 20, 0)).toEqual({ seconds: 20, share: 0, late: false })
    expect(left(0, 20, 19_999)).toMatchObject({ seconds: 1, late: false })
    expect(left(0, 20, 20_000)).toEqual({ seconds: 0, share: 1, late: true })
  })
  it('a clock that was set back does not lengthen a wait', () => {
    expect(left(10_000, 20, 5_000)).toEqual({ seconds: 20, share: 0, late: false })
  })
  it('no wait is never late', () => {
    expect(left(0, 0, 99_999).late).toBe(false)
  })
  it('says seconds near the end, minutes and hours before', () => {
    expect([2, 17, 61, 89, 90, 600, 7200].map(span)).toEqual([
      { unit: 'second', n: 2 },
      { unit: 'second', n: 20 },
      { unit: 'second', n: 65 },
      { unit: 'second', n: 90 },
      { unit: 'minute', n: 2 },
      { unit: 'minute', n: 10 },
      { unit: 'hour', n: 2 },
    ])
  })
})
