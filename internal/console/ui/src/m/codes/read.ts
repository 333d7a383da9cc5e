// What stands in a scanned or typed code, read without a server. The server reads it again when
// there is a network and has the last word; the promise here is the same answer for the same
// vectors (internal/label/testdata/codes.json), and that a secret never leaves this function.
import { blank, looksSecret, warn, withoutKeys, type Code } from './code'
import { formReader, readFields, type Form } from './fields'
import { readGS1 } from './goods'
import { readMatter, readOurs, readTR005 } from './labels'
import { readEUI, readIMEI, readMAC, readSerial } from './numbers'

export type { Code, CodeKind, Warning } from './code'
export type { Form } from './fields'

const most = 2048 // bytes: the largest QR code holds 2,953, and no maker comes near it

/** Reads a code. It never fails: what nobody knows is plain text. */
export function readCode(raw: string, forms: Form[] = []): Code {
  const bytes = new TextEncoder().encode(raw).length
  if (bytes > most) {
    const c = { ...blank('plain'), secret: true }
    warn(c, 'too_long')
    return c
  }
  const [symbology, text] = trim(raw)
  const readers = [readTR005, readMatter, readOurs, readIMEI, readEUI, readMAC, readSerial, readGS1, ...forms.map(formReader), readFields]
  for (const read of readers) {
    const c = read(text, symbology)
    if (c) return { ...c, text: shown(c, text) }
  }
  return { ...blank('plain'), secret: looksSecret(text), text: shown(blank('plain'), text) }
}

/** What may be shown and kept of a code: what was understood of it, else the text without keys. */
function shown(c: Code, text: string): string {
  if (c.identity) return c.identity
  if (c.point) return 'GW1:P:' + c.point
  return c.kind === 'matter' ? '' : withoutKeys(text).slice(0, 500)
}

/** Takes off what scanners put around a code: a byte-order mark, spaces, the mark of the kind of bars. */
function trim(raw: string): [string, string] {
  const text = raw.replace(/^\uFEFF/, '').trim()
  const m = /^(\][A-Za-z][0-9])(.+)$/s.exec(text)
  return m ? [m[1]!, m[2]!] : ['', text]
}
