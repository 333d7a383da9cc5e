import type { Frame } from '../points/model'

/** What of a frame a profile reads. */
export interface Payload {
  hex: string
  port?: number
  format?: number
  path?: string
  envelope: string // which network's message it was taken out of; empty: the frame is the payload
}

/**
 * payloadOf takes the payload out of a frame: out of the JSON of ChirpStack and The Things
 * Stack, else the frame as it is. What a CoAP path says of it (port, ct, path) counts.
 */
export function payloadOf(f: Pick<Frame, 'raw' | 'address'>): Payload {
  const said = new URLSearchParams(f.address?.split('?', 2)[1] ?? '')
  const number = (name: string) => (/^\d+$/.test(said.get(name) ?? '') ? Number(said.get(name)) : undefined)
  const plain: Payload = { hex: f.raw, port: number('port'), format: number('ct'), path: said.get('path') ?? undefined, envelope: '' }
  if (!f.raw.startsWith('7b')) return plain
  let doc: Record<string, unknown>
  try {
    doc = JSON.parse(textOf(f.raw)) as Record<string, unknown>
  } catch {
    return plain
  }
  const up = doc.uplink_message as { frm_payload?: unknown; f_port?: unknown } | undefined
  if (typeof up?.frm_payload === 'string') return { ...plain, hex: fromBase64(up.frm_payload), port: portOf(up.f_port), envelope: 'The Things Stack' }
  if (typeof doc.data === 'string' && ('fPort' in doc || 'deviceInfo' in doc || 'devEUI' in doc)) {
    return { ...plain, hex: fromBase64(doc.data), port: portOf(doc.fPort), envelope: 'ChirpStack' }
  }
  return plain
}

const portOf = (x: unknown) => (typeof x === 'number' ? x : undefined)

function fromBase64(text: string): string {
  try {
    return Array.from(atob(text), (c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('')
  } catch {
    return ''
  }
}

export function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (x) => parseInt(x, 16))
}

function textOf(hex: string): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytesOf(hex))
}

/** A line of a dump: where it begins, its bytes, and what of them can be read. */
export interface HexLine {
  at: string
  bytes: string[]
  text: string
}

export function hexLines(hex: string, wide = 16): HexLine[] {
  const all = hex.match(/../g) ?? []
  const out: HexLine[] = []
  for (let i = 0; i < all.length; i += wide) {
    const bytes = all.slice(i, i + wide)
    out.push({
      at: i.toString(16).padStart(4, '0'),
      bytes,
      text: bytes.map((b) => { const c = parseInt(b, 16); return c >= 32 && c < 127 ? String.fromCharCode(c) : '·' }).join(''),
    })
  }
  return out
}
