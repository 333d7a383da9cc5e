import { expect, test } from 'vitest'
import { parser, type Message } from './api'

test('A stream gives the same messages however it is cut', () => {
  const text = ': hello\n\nevent: visit\nid: 7\ndata: {"a":1}\n\nevent: frame\ndata: one\ndata: two\n\n'
  for (let size = 1; size < text.length; size++) {
    const got: Message[] = []
    const feed = parser((m) => got.push(m))
    for (let i = 0; i < text.length; i += size) feed(text.slice(i, i + size))
    expect(got).toEqual([
      { id: '7', event: 'visit', data: '{"a":1}' },
      { id: '', event: 'frame', data: 'one\ntwo' },
    ])
  }
})
