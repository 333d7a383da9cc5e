import { expect, it } from 'vitest'
import { hintOf } from './typed'

const said = (text: string) => {
  const h = hintOf(text)
  return h && [h.key, h.values?.n ?? '', h.tone].join(' ').replace('  ', ' ')
}

it('says nothing of nothing', () => expect(hintOf('  ')).toBeNull())
it('counts what is missing of an EUI, with or without colons', () => {
  expect(said('24e1')).toBe('typed.eui 12 open')
  expect(said('24:E1:24:53:5B:12:34:5')).toBe('typed.eui 1 open')
  expect(said('24e124535b123456')).toBe('typed.eui.ok good')
  expect(said('24e124535b1234567')).toBe('typed.long 1 bad')
})
it('tells a wrong digit of an IMEI from a right one', () => {
  expect(said('49015420')).toBe('typed.imei 7 open')
  expect(said('490154203237518')).toBe('typed.imei.ok good')
  expect(said('490154203237519')).toBe('typed.imei.bad bad')
})
