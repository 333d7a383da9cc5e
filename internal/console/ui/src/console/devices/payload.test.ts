import { expect, test } from 'vitest'
import { around, compare } from './lines'
import { hexLines, payloadOf } from './payload'

const hex = (s: string) => Array.from(new TextEncoder().encode(s), (b) => b.toString(16).padStart(2, '0')).join('')

test('The payload is taken out of what the networks wrap it in', () => {
  expect(payloadOf({ raw: hex('{"deviceInfo":{},"fPort":85,"data":"AXVcAwAB"}') })).toMatchObject({ hex: '01755c030001', port: 85, envelope: 'ChirpStack' })
  expect(payloadOf({ raw: hex('{"uplink_message":{"f_port":2,"frm_payload":"gQuI"}}') })).toMatchObject({ hex: '810b88', port: 2, envelope: 'The Things Stack' })
})

test('What is no such message is the payload itself, and a CoAP path says what it is', () => {
  expect(payloadOf({ raw: '810b88', address: '/up/sn:1?ct=11542&path=/3/0' })).toEqual({ hex: '810b88', port: undefined, format: 11542, path: '/3/0', envelope: '' })
  const own = hex('{"door.open":true}')
  expect(payloadOf({ raw: own }).hex).toBe(own)
  expect(payloadOf({ raw: '7bff' }).hex).toBe('7bff')
})

test('A dump shows where, what, and what of it can be read', () => {
  expect(hexLines('41420043', 2)).toEqual([{ at: '0000', bytes: ['41', '42'], text: 'AB' }, { at: '0002', bytes: ['00', '43'], text: '·C' }])
})

test('Two texts are laid beside each other by their lines', () => {
  const lines = compare('a\nb\nc\nd\n', 'a\nB\nc\nx\nd\n')
  expect(lines.map((l) => l.kind[0] + l.text)).toEqual(['sa', 'ob', 'nB', 'sc', 'nx', 'sd'])
  expect(lines.at(-1)).toEqual({ kind: 'same', old: 4, new: 5, text: 'd' })
  expect(compare('', 'a\n')).toEqual([{ kind: 'new', new: 1, text: 'a' }])
})

test('Of what is the same only the lines near a change are kept', () => {
  const many = Array.from({ length: 20 }, (_, i) => 'l' + i)
  const lines = around(compare(many.join('\n'), many.with(10, 'X').join('\n')), 1)
  expect(lines.map((l) => l?.text)).toEqual([undefined, 'l9', 'l10', 'X', 'l11', undefined])
})
