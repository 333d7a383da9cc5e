// Codes with a form of their own: TR005 of the LoRa Alliance, Matter, and our own labels.
import { base38, crc16, verhoeff } from './checks'
import { add, blank, identity, warn, type Code, type Reader } from './code'
import { checkEUI } from './numbers'

const isHex = (s: string) => /^[0-9a-f]+$/i.test(s)

/** LW:D0:<JoinEUI>:<DevEUI>:<ProfileID>[:O<owner>][:S<serial>][:P<maker's own>][:C<checksum>], and its drafts. */
export const readTR005: Reader = (text) => {
  const draft = /^(?:URN:LW:DP:|URN:LWDP:|URN:DEV:LW:)/i.exec(text)
  if (draft) return readDraft(text.slice(draft[0].length))
  const parts = text.split(':')
  if (parts.length < 4 || !/^LW:D[0-9]:/i.test(text)) return null
  const c = lorawan(parts[2]!, parts[3]!)
  if (c && parts[4] !== undefined) {
    ofProfile(c, parts[4])
    extensions(c, parts)
  }
  return c
}

function lorawan(join: string, dev: string): Code | null {
  if (join.length !== 16 || dev.length !== 16 || !isHex(join) || !isHex(dev)) return null
  const c = blank('tr005')
  add(c, identity('eui', dev))
  checkEUI(c, dev)
  return c
}

function ofProfile(c: Code, id: string): void {
  if (id.length !== 8 || !isHex(id)) warn(c, 'length')
  c.maker = id.slice(0, 4).toUpperCase()
  c.model = id.slice(4).toUpperCase()
}

function extensions(c: Code, parts: string[]): void {
  parts.slice(5).forEach((part, n) => {
    const value = part.slice(1)
    switch (part[0]?.toUpperCase()) {
      case 'O': // proves to a join server whose the device is
      case 'P': // what makers write here is theirs, a key too
        c.secret = true
        break
      case 'S':
        c.serial = value
        break
      case 'C':
        if (value.toUpperCase() !== crc16(parts.slice(0, 5 + n).join(':'))) warn(c, 'checksum')
    }
  })
}

function readDraft(rest: string): Code | null {
  const parts = rest.split(/[:_]/).filter(Boolean)
  const c = parts.length < 2 ? null : lorawan(parts[0]!, parts[1]!)
  if (!c) return null
  warn(c, 'deprecated')
  const [profile, ...more] = parts.slice(2)
  if (profile && profile.length === 8 && isHex(profile)) ofProfile(c, profile)
  else if (profile) c.model = profile
  if (more.length > 0) c.secret = true // owner tokens and keys, which the drafts do not tell apart
  return c
}

/**
 * MT: and base-38, or the 11 or 21 digits that are printed below. A Matter device has no name of
 * its own before it is commissioned; the passcode lets whoever has it take the device over.
 */
export const readMatter: Reader = (text) => {
  if (/^MT:./i.test(text)) return matterQR(text.slice(3).toUpperCase())
  const digits = text.replace(/-/g, '')
  const dashes = text.length - digits.length
  if ((dashes !== 0 && dashes !== 2) || !/^(?:[0-9]{11}|[0-9]{21})$/.test(digits) || !verhoeff(digits)) return null
  return matterManual(digits)
}

function matterQR(text: string): Code | null {
  const b = base38(text.split('*')[0]!)
  if (!b || b.length < 11) return null
  const bits = (at: number, n: number) => {
    let v = 0
    for (let i = 0; i < n; i++) v += ((b[(at + i) >> 3]! >> ((at + i) & 7)) & 1) * 2 ** i
    return v
  }
  const c = blank('matter')
  if (bits(0, 3) !== 0) warn(c, 'deprecated')
  ofMatter(c, bits(3, 16), bits(19, 16), bits(57, 27))
  return c
}

function matterManual(digits: string): Code | null {
  const number = (from: number, to: number) => Number(digits.slice(from, to))
  const long = digits.length === 21
  const [first, low, high] = [number(0, 1), number(1, 6), number(6, 10)]
  if (first > 7 || ((first >> 2) & 1) === 1 !== long || low > 0xffff || high > 0x1fff) return null
  const c = blank('matter')
  ofMatter(c, long ? number(10, 15) : 0, long ? number(15, 20) : 0, high * 2 ** 14 + (low & 0x3fff))
  return c
}

function ofMatter(c: Code, vendor: number, product: number, passcode: number): void {
  const hex = (n: number) => n.toString(16).toUpperCase().padStart(4, '0')
  c.secret = true
  if (vendor) Object.assign(c, { maker: hex(vendor), model: hex(product) })
  if (passcode === 0 || passcode > 99_999_998 || passcode % 11_111_111 === 0 || passcode === 12_345_678 || passcode === 87_654_321) warn(c, 'passcode')
}

/** Ours: GW1:P:<point>, GW1:D:<identity>, GW1:D:<identity>:T<token>. */
export const readOurs: Reader = (text) => {
  const m = /^GW1:([PD]):(.+)$/i.exec(text)
  if (!m) return null
  if (m[1]!.toUpperCase() === 'P') return { ...blank('point'), point: m[2]! }
  const c = blank('gw1')
  const whole = /^(.+?)(:T[A-Z2-7]{26})?$/i.exec(m[2]!)!
  c.secret = whole[2] !== undefined
  const cut = /^([a-z0-9]+):(.*)$/.exec(whole[1]!.toLowerCase())
  if (!cut) return null
  add(c, identity(cut[1]!, cut[2]!))
  return c.identity ? c : null
}

