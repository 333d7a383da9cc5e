import { expect, test } from 'vitest'
import { texts } from '../words'
import { texts as phone } from '../../lib/phone/texts'
import { refused } from './refused'

test('Every text is there in both languages with the same values in it', () => {
  for (const [key, both] of Object.entries({ ...texts, ...phone, ...refused })) {
    expect(both.zh, key).not.toBe('')
    expect(both.en, key).not.toBe('')
    const values = (s: string) => [...s.matchAll(/\{\w+\}/g)].map((m) => m[0]).sort()
    expect(values(both.zh), key).toEqual(values(both.en))
  }
})
