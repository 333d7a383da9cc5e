// A sender of many devices over one MQTT connection: what a process for each frame would make slow.
import net from 'node:net'

const window = 200 // frames on their way without an acknowledgement

const text = (s) => {
  const b = Buffer.from(s)
  return Buffer.concat([Buffer.from([b.length >> 8, b.length & 255]), b])
}

function packet(kind, body) {
  const head = [kind]
  for (let n = body.length; ; ) {
    const low = n & 127
    n >>= 7
    head.push(n ? low | 128 : low)
    if (!n) return Buffer.concat([Buffer.from(head), body])
  }
}

/** Sender speaks as much of MQTT 3.1.1 as publishing with quality 1 takes. */
export class Sender {
  static async open(world) {
    const s = new Sender()
    s.waiting = new Map() // packet's number → what to call when the gateway has it
    s.room = []
    s.next = 0
    s.rest = Buffer.alloc(0)
    s.socket = net.connect(world.mqtt, '127.0.0.1').setNoDelay(true)
    await new Promise((go, fail) => {
      s.socket.once('error', fail)
      s.connected = go
      s.socket.on('data', (b) => s.hear(b))
      s.socket.write(packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 2, 0, 0]), text('sender')])))
    })
    s.socket.on('close', () => {
      s.closed = true
      for (const go of [...s.waiting.values(), ...s.room]) go(new Error('the line broke'))
    })
    return s
  }

  hear(bytes) {
    this.rest = Buffer.concat([this.rest, bytes])
    for (;;) {
      let [length, at, shift] = [0, 1, 0]
      for (; at < this.rest.length; shift += 7) {
        const b = this.rest[at++]
        length |= (b & 127) << shift
        if (!(b & 128)) break
        if (at === this.rest.length) return
      }
      if (at < 2 || this.rest.length < at + length) return
      const kind = this.rest[0] >> 4
      if (kind === 2) this.connected()
      if (kind === 4) this.done(this.rest.readUInt16BE(at))
      this.rest = this.rest.subarray(at + length)
    }
  }

  done(n) {
    this.waiting.get(n)?.()
    this.waiting.delete(n)
    this.room.shift()?.()
  }

  /** say sends one frame; what it gives is done when the gateway has it on its disk. It waits while too many are on their way. */
  async say(identity, reading) {
    while (this.waiting.size >= window) await new Promise((go, fail) => this.room.push((err) => (err ? fail(err) : go())))
    if (this.closed) throw new Error('the line broke')
    this.next = (this.next % 65_535) + 1
    const n = this.next
    const got = new Promise((go, fail) => this.waiting.set(n, (err) => (err ? fail(err) : go())))
    this.socket.write(packet(0x32, Buffer.concat([text('gridgate/up/' + identity), Buffer.from([n >> 8, n & 255]), Buffer.from(JSON.stringify(reading))])))
    return { got }
  }

  close() {
    this.socket.destroy()
  }
}
