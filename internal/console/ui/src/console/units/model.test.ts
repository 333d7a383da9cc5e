import { expect, test } from 'vitest'
import { whyOf } from './model'

test('Why a delivery did not get through is said in words', () => {
  expect(whyOf({ error: 'Post "http://a": dial tcp 1.2.3.4:80: connect: connection refused' })).toBe('why.refused')
  expect(whyOf({ error: 'dial tcp: lookup nowhere.example: no such host' })).toBe('why.dns')
  expect(whyOf({ error: 'context deadline exceeded' })).toBe('why.timeout')
  expect(whyOf({ status: 401, error: 'answered 401' })).toBe('why.token')
  expect(whyOf({ status: 410 })).toBe('why.gone')
  expect(whyOf({ status: 502 })).toBe('why.server')
  expect(whyOf({ status: 400 })).toBe('why.body')
  expect(whyOf({})).toBe('why.other')
})
