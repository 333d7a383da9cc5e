import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Message } from '../lib/api'
import { Line, times } from './line'

/** A server as the test writes it: each connection is one it may speak on, end or leave silent. */
class Script {
  connections: { say: (text: string) => void; end: () => void; lastId: string | null }[] = []
  refuse: number | undefined
  gone = false

  fetch = (_: string, init: RequestInit): Promise<Response> => {
    if (this.gone) return Promise.reject(new TypeError('nobody listens'))
    if (this.refuse) return Promise.resolve(new Response('{"type":"urn:gridgate:problem:unauthorized"}', { status: this.refuse }))
    let out!: ReadableStreamDefaultController<Uint8Array>
    const body = new ReadableStream<Uint8Array>({ start: (c) => void (out = c) })
    const signal = init.signal!
    signal.addEventListener('abort', () => {
      try {
        out.error(signal.reason)
      } catch {
        // it has ended
      }
    })
    this.connections.push({ say: (text) => out.enqueue(new TextEncoder().encode(text)), end: () => out.close(), lastId: new Headers(init.headers).get('Last-Event-ID') })
    return Promise.resolve(new Response(body))
  }
}

let script: Script
let line: Line
let seen: string[]
let got: Message[]

beforeEach(() => {
  vi.useFakeTimers()
  script = new Script()
  vi.stubGlobal('fetch', script.fetch)
  seen = []
  got = []
  line = new Line('/stream', () => 'token', { up: () => seen.push('up'), down: (why) => seen.push(why), message: (m) => got.push(m) })
  void line.run()
})

afterEach(() => {
  line.stop()
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** pass lets a time go by, with all that was waiting for it. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

test('A line is up when the server has said something, not when it was dialled', async () => {
  await pass(0)
  expect(seen).toEqual([])
  script.connections[0]!.say(': hello\n\n')
  await pass(0)
  expect(seen).toEqual(['up'])
})

test('A line that broke off begins again after the last event', async () => {
  await pass(0)
  script.connections[0]!.say(': hello\n\nevent: event\nid: e7\ndata: {}\n\n')
  await pass(0)
  script.connections[0]!.end()
  await pass(0)
  expect(seen).toEqual(['up', 'broken'])
  await pass(times.again)
  expect(script.connections).toHaveLength(2)
  expect(script.connections[1]!.lastId).toBe('e7')
})

test('After a gap the last event is not asked for again', async () => {
  await pass(0)
  script.connections[0]!.say('event: event\nid: e7\ndata: {}\n\nevent: gap\ndata: {}\n\n')
  await pass(0)
  script.connections[0]!.end()
  await pass(times.again)
  expect(script.connections[1]!.lastId).toBeNull()
})

test('A line on which nothing is heard is lost five seconds after the heartbeat was due', async () => {
  await pass(0)
  script.connections[0]!.say(': hello\n\n')
  await pass(15_000)
  script.connections[0]!.say(': heartbeat\n\n')
  await pass(19_999)
  expect(seen).toEqual(['up'])
  await pass(1)
  expect(seen).toEqual(['up', 'silent'])
})

test('A server that takes the call and says nothing is lost too', async () => {
  await pass(times.silent)
  expect(seen).toEqual(['silent'])
})

test('A refused token is said, and tried again slowly', async () => {
  script.refuse = 401
  await pass(0)
  line.stop()
  script.refuse = undefined
  seen.length = 0
  script.refuse = 401
  line = new Line('/stream', () => 'bad', { up: () => {}, down: (why) => seen.push(why), message: () => {} })
  void line.run()
  await pass(times.longest - 1)
  expect(seen).toEqual(['refused'])
  await pass(1)
  expect(seen).toEqual(['refused', 'refused'])
})

test('The waits between tries grow to a bound and are short again once the line was up', async () => {
  script.gone = true
  script.connections.length = 0
  await pass(0)
  script.connections.at(-1)?.end()
  await pass(60_000)
  const tries = seen.length
  await pass(times.longest * 3)
  expect(seen.length - tries).toBe(3)
  script.gone = false
  await pass(times.longest)
  script.connections.at(-1)!.say(': hello\n\n')
  await pass(0)
  script.connections.at(-1)!.end()
  const before = script.connections.length
  await pass(times.again)
  expect(script.connections.length).toBe(before + 1)
})

test('Who knows that the server is dead can end the stream that seems to run', async () => {
  await pass(0)
  script.connections[0]!.say(': hello\n\n')
  await pass(0)
  line.broken()
  await pass(0)
  expect(seen).toEqual(['up', 'broken'])
})
