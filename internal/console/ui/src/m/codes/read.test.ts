import { describe, expect, it } from 'vitest'
import { readCode } from './read'

describe('a secret in a code', () => {
  const key = '00112233445566778899aabbccddeeff'
  const token = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
  it.each([
    ['of an owner', 'LW:D0:1122334455667788:AABBCCDDEEFF0011:AABB1122:OSECRETSECRET:SYYWW:C0000', 'SECRETSECRET'],
    ['of our label', `GW1:D:EUI:24E124535B123456:T${token}`, token],
    ['of Matter', 'MT:Y.K9042C00KA0648G00', '20202021'],
    ['beside an EUI', `DevEUI: 24E124535B123456; AppKey: ${key}`, key],
    ['in plain text', `hello ${key} world`, key],
    ['in a word of anything', 'Wifi password: open-sesame', 'open-sesame'],
  ])('%s is in nothing that is kept', (_, text, secret) => {
    const c = readCode(text)
    expect(c.secret).toBe(true)
    expect(JSON.stringify(c).toLowerCase()).not.toContain(secret.toLowerCase())
  })
})
it('reads the published example of TR005', () => {
  expect(readCode('LW:D0:1122334455667788:AABBCCDDEEFF0011:AABB1122:OAABBCCDDEEFF:SYYWWNNNNNN:PFOOBAR:CAF2C')).toMatchObject({
    kind: 'tr005', identity: 'eui:aabbccddeeff0011', maker: 'AABB', model: '1122', serial: 'YYWWNNNNNN', warnings: [],
  })
})
it('reads a plate', () => expect(readCode('GW1:P:p-0a1b')).toMatchObject({ kind: 'point', point: 'p-0a1b', secret: false }))
it('reads a maker’s own form', () => {
  const form = { name: 'x', maker: 'Acme', pattern: '^AC(?P<identity>[0-9a-f]{16})/(?P<serial>\\d+)$', identity: 'eui' }
  expect(readCode('ac24E124535B123456/77', [form])).toMatchObject({ identity: 'eui:24e124535b123456', maker: 'Acme', serial: '77' })
  expect(readCode('?', [{ ...form, pattern: '(' }]).kind).toBe('plain')
})
it('what nobody knows is plain text', () => expect(readCode('https://example.com/x')).toMatchObject({ kind: 'plain', identity: '', text: 'https://example.com/x' }))
