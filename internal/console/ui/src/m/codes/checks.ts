// Check digits and checksums of codes. Pure; the same rules as the Go package `label`.

/** The check digit of an IMEI (Luhn over all 15 digits). */
export function luhn(digits: string): boolean {
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    let d = digits.charCodeAt(digits.length - 1 - i) - 48
    if (i % 2 === 1) {
      d *= 2
      if (d > 9) d -= 9
    }
    sum += d
  }
  return sum % 10 === 0
}

/** CRC-16/MODBUS in four capital hex digits: what TR005 puts behind `:C`. */
export function crc16(text: string): string {
  let crc = 0xffff
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1
  }
  return crc.toString(16).toUpperCase().padStart(4, '0')
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-.'

/** Base-38 as Matter writes it: five characters are three bytes, low byte first. */
export function base38(text: string): Uint8Array | null {
  const out: number[] = []
  for (let at = 0; at < text.length; at += 5) {
    const group = text.slice(at, at + 5)
    const bytes = ({ 5: 3, 4: 2, 2: 1 } as Record<number, number>)[group.length]
    if (!bytes) return null
    let value = 0
    for (const c of [...group].reverse()) {
      const digit = alphabet.indexOf(c)
      if (digit < 0) return null
      value = value * 38 + digit
    }
    if (value >= 256 ** bytes) return null
    for (let i = 0; i < bytes; i++) {
      out.push(value & 0xff)
      value = Math.floor(value / 256)
    }
  }
  return Uint8Array.from(out)
}

// Verhoeff's two tables, made from what they are: the dihedral group of ten, and powers of one turn.
const product = (a: number, b: number): number =>
  a < 5 ? (b < 5 ? (a + b) % 5 : 5 + ((a + b) % 5)) : b < 5 ? 5 + ((a - b) % 5) : (a - b + 5) % 5
const turn = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]

/** Verhoeff's check digit, as on a Matter manual pairing code. */
export function verhoeff(digits: string): boolean {
  let c = 0
  for (let i = 0; i < digits.length; i++) {
    let d = digits.charCodeAt(digits.length - 1 - i) - 48
    for (let n = 0; n < i % 8; n++) d = turn[d]!
    c = product(c, d)
  }
  return c === 0
}
