import { describe, expect, it } from 'vitest'
import file from '../../../../../label/testdata/codes.json'
import { readCode } from './read'

// The same vectors as the Go package. `online`: only the server knows the form of that maker; the
// phone may call it plain text; but it agrees on the secret and shows nothing of it, and names no other device.
interface Vector {
  name: string
  input: string
  symbology?: string
  online?: boolean
  want: { kind: string; identity?: string; identities?: string[]; maker?: string; model?: string; serial?: string; point?: string; secret?: boolean; warnings?: string[] }
  hidden?: string[]
}
const vectors = file.vectors as Vector[]

describe('the vectors of both readers', () => {
  it('are there', () => expect(vectors.length).toBeGreaterThan(40))
  it.each(vectors.map((v) => [v.name, v] as const))('%s', (_, v) => {
    const c = readCode(v.input)
    const { identity = '', identities = [], maker = '', model = '', serial = '', point = '', secret = false, warnings = [], kind } = v.want
    expect(c.secret).toBe(secret)
    for (const word of v.hidden ?? []) expect(JSON.stringify(c).toLowerCase()).not.toContain(word.toLowerCase())
    if (v.online) {
      if (c.identity) expect(c.identity).toBe(identity)
      return
    }
    expect({ kind: c.kind, identity: c.identity, identities: c.identities, maker: c.maker, model: c.model, serial: c.serial, point: c.point, warnings: [...c.warnings].sort() }).toEqual({
      kind, identity, identities, maker, model, serial, point, warnings: [...warnings].sort(),
    })
  })
})
