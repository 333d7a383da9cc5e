// The codes of goods, after GS1: element strings with brackets or FNC1, Digital Links, and a number
// alone. The number says what it is, not which: only a serial number (21) names a device.
import { add, blank, identity, looksSecret, warn, type Code, type Reader } from './code'

const group = '\x1d'

export const readGS1: Reader = (text, symbology) => {
  if (text.startsWith('(')) return brackets(text)
  if (/^http/i.test(text)) return digitalLink(text)
  if (/^[0-9]{12,14}$/.test(text)) return gtinSum(text) ? elements([['01', text.padStart(14, '0')]]) : null
  const announced = [']C1', ']d2', ']Q3', ']e0'].includes(symbology) || text.startsWith(group)
  if (!announced && (text.length < 18 || !/^01[0-9]{14}/.test(text) || !gtinSum(text.slice(2, 16)))) return null
  return elements(cutElements(text))
}

/** Threes and ones from the right. */
export function gtinSum(digits: string): boolean {
  let sum = 0
  for (let i = 0; i < digits.length; i++) sum += Number(digits[digits.length - 1 - i]) * (i % 2 === 1 ? 3 : 1)
  return sum % 10 === 0
}

const brackets = (text: string) => elements([...text.matchAll(/\(([0-9]{2,4})\)([^()]*)/g)].map((m) => [m[1]!, m[2]!]))

function cutElements(text: string): [string, string][] {
  const out: [string, string][] = []
  for (let rest = text.replace(/^\x1d+/, ''); rest.length > 2; rest = rest.replace(/^\x1d+/, '')) {
    const ai = rest.slice(0, aiSize(rest.slice(0, 2)))
    let value = rest.slice(ai.length)
    const n = fixedSize(ai.slice(0, 2))
    value = n ? value.slice(0, n) : value.split(group, 1)[0]!
    rest = rest.slice(ai.length + value.length)
    out.push([ai, value])
  }
  return out
}

const within = (two: string, from: string, to: string) => two >= from && two <= to

function aiSize(two: string): number {
  if (within(two, '31', '36') || two === '39' || within(two, '70', '89')) return 4
  return within(two, '23', '25') || within(two, '40', '43') ? 3 : 2
}

/** The length of the parts that end by themselves. */
function fixedSize(two: string): number {
  if (two === '00') return 18
  if (within(two, '01', '03')) return 14
  if (two === '04') return 16
  if (within(two, '11', '19') || within(two, '31', '36')) return 6
  if (two === '20') return 2
  return two === '41' ? 13 : 0
}

function elements(all: [string, string][]): Code | null {
  const c = blank('gs1')
  let known = false
  for (const [ai, raw] of all) {
    const value = raw.trim()
    if (ai === '01') {
      if (!/^[0-9]{14}$/.test(value)) warn(c, 'length')
      else if (!gtinSum(value)) warn(c, 'checksum')
      c.model = value
    } else if (ai === '21') {
      c.serial = value
      add(c, identity('sn', value))
    } else {
      if (looksSecret(value)) c.secret = true // what a firm writes into its own parts
      continue
    }
    known ||= value !== ''
  }
  return known ? c : null
}

function digitalLink(text: string): Code | null {
  let url: URL
  try {
    url = new URL(text)
    const parts = url.pathname.split('/').filter(Boolean)
    const at = parts.findIndex((p, i) => p === '01' && /^[0-9]{14}$/.test(parts[i + 1] ?? ''))
    if (at < 0) return null
    const pairs: [string, string][] = []
    for (let i = at; i + 1 < parts.length; i += 2) pairs.push([parts[i]!, decodeURIComponent(parts[i + 1]!)])
    const c = elements(pairs)
    if (c && looksSecret(url.search.slice(1))) c.secret = true
    return c
  } catch {
    return null
  }
}
