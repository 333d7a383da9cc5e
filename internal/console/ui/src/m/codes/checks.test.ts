import { expect, it } from 'vitest'
import { base38, crc16, luhn, verhoeff } from './checks'

it('an IMEI with one digit wrong is found', () => {
  expect(luhn('490154203237518')).toBe(true)
  expect(luhn('490154203237519')).toBe(false)
})
it('the checksum of TR005 is CRC-16/MODBUS over what stands before it', () => {
  expect(crc16('LW:D0:1122334455667788:AABBCCDDEEFF0011:AABB1122:OAABBCCDDEEFF:SYYWWNNNNNN:PFOOBAR')).toBe('AF2C')
})
it('a digit or two neighbours changed are found in a manual pairing code', () => {
  expect(verhoeff('34970112332')).toBe(true)
  expect(verhoeff('34970112323')).toBe(false)
  expect(verhoeff('34970112331')).toBe(false)
})
it('base-38 gives the bytes back, low byte first', () => {
  expect(base38('00')).toEqual(Uint8Array.of(0))
  expect(base38('Y.L90')).toBeTruthy()
  expect(base38('a')).toBeNull()
})
