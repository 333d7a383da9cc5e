import { expect, it } from 'vitest'
import { readCode } from '../codes/read'
import { afterScan } from './way'

const eui = readCode('24:E1:24:53:5B:12:34:56')
const plate = { ...eui, identity: '', kind: 'point' as const, point: 'p-1' }
const to = (code: typeof eui, query = '') => afterScan(code, new URLSearchParams(query))

it('a device leads to what is known of it', () => expect(to(eui)).toBe('#/device/eui%3A24e124535b123456'))
it('a plate leads to its point', () => expect(to(plate)).toBe('#/points/p-1'))
it('the second scan of a swap goes back to the swap', () => expect(to(eui, 'for=new&old=eui%3A1&point=p-1')).toBe('#/swap?old=eui%3A1&point=p-1&with=eui%3A24e124535b123456'))
it('a device for a point leads to the claim', () => expect(to(eui, 'for=claim&point=p-1')).toBe('#/claim?point=p-1&device=eui%3A24e124535b123456'))
it('a plate for a device leads to the claim', () => expect(to(plate, 'for=plate&device=eui%3A1')).toBe('#/claim?device=eui%3A1&point=p-1'))
it('what nobody knows is shown, and no text of it is in the address', () => expect(to(readCode('hello APPKEY=00112233445566778899aabbccddeeff'))).toBe('#/code'))
