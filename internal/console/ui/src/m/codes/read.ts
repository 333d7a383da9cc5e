// What stands in a scanned or typed code, read without a server. The server reads it again when
// there is a network and has the last word; here the promise is the same vectors
// (internal/label/testdata/codes.json) and that a secret never leaves this function.
import { base38, crc16, luhn, verhoeff } from './checks'

export type CodeKind = 'tr005' | 'matter' | 'imei' | 'mac' | 'eui' | 'sn' | 'gw1' | 'gs1' | 'plain' | 'point'

/** What is wrong with a code, in a word that the dictionary knows. */
export type Warning = 'checksum' | 'luhn' | 'length' | 'test_eui' | 'secret'

export interface Code {
  kind: CodeKind
  identity: string
  identities: string[]
  maker: string
  serial: string
  point: string
  /** A secret was in it; it is gone. */
  secret: boolean
  warnings: Warning[]
  /** The code without its secret: what may be kept and sent later. */
  text: string
}

const none = { identity: '', identities: [] as string[], maker: '', serial: '', point: '', secret: false, warnings: [] as Warning[] }

const one = (identity: string) => ({ identity, identities: [identity] })

/** Reads a code. It never fails: what nobody knows is plain text, less what looks like a key. */
export function readCode(raw: string): Code {
  // eslint-disable-next-line no-control-regex -- GS1 codes carry a group separator
  const text = raw.replace(/^\uFEFF/, '').replace(/^\][A-Za-z]\d/, '').trim()
  for (const reader of readers) {
    const code = reader(text)
    if (code) return code
  }
  return plain(text)
}

type Reader = (text: string) => Code | null

const hex = /^[0-9a-f]+$/i

function tr005(text: string): Code | null {
  const parts = text.split(':')
  const [lw, version = '', join = '', dev = '', profile = ''] = parts
  if (lw?.toUpperCase() !== 'LW' || !/^D\d$/i.test(version)) return null
  if (join.length !== 16 || dev.length !== 16 || !hex.test(dev) || !hex.test(join)) return null
  const code: Code = { ...none, kind: 'tr005', ...one('eui:' + dev.toLowerCase()), maker: profile.slice(0, 4).toUpperCase(), warnings: [], text }
  const kept = parts.slice(0, 5)
  parts.slice(5).forEach((part, n) => {
    const value = part.slice(1)
    if (part[0] === 'S') code.serial = value
    if (part[0] === 'C' && crc16(parts.slice(0, 5 + n).join(':')) !== value.toUpperCase()) code.warnings.push('checksum')
    // The owner token proves who may have the device, and what makers write into P is theirs:
    // neither is kept, and the checksum over them would be wrong without them.
    if (part[0] === 'O' || part[0] === 'P') code.secret = true
    else if (part[0] === 'S') kept.push(part)
  })
  code.text = kept.join(':')
  return code
}

function matter(text: string): Code | null {
  if (/^MT:/i.test(text)) {
    const bytes = base38(text.slice(3).split('*')[0]!.toUpperCase())
    if (!bytes || bytes.length < 11) return null
    const vid = ((bytes[0]! >> 3) | (bytes[1]! << 5) | (bytes[2]! << 13)) & 0xffff
    const maker = vid.toString(16).toUpperCase().padStart(4, '0')
    return { ...none, kind: 'matter', maker, secret: true, text: 'MT:' }
  }
  if (/^(\d{4}-?\d{3}-?\d{4}|\d{21})$/.test(text)) {
    const digits = text.replace(/-/g, '')
    if (verhoeff(digits)) return { ...none, kind: 'matter', secret: true, text: 'MT:' }
  }
  return null
}

function imei(text: string): Code | null {
  const m = /^(?:urn:imei:|imei[:=\s]*)?(\d{15})(?:[;,]\s*(?:imsi[:=\s]*)?\d{15})?$/i.exec(text.replace(/(\d)[\s-](?=\d)/g, '$1'))
  if (!m) return null
  const digits = m[1]!
  return { ...none, kind: 'imei', ...one('imei:' + digits), warnings: luhn(digits) ? [] : ['luhn'], text: 'imei:' + digits }
}

function eui(text: string): Code | null {
  const m = /^(?:(?:dev)?_?eui(?:64)?[:=\s]*)?((?:[0-9a-f]{2}[:\-. ]?){7}[0-9a-f]{2}|(?:[0-9a-f]{4}[:\-. ]){3}[0-9a-f]{4})$/i.exec(text)
  if (!m) return null
  const digits = m[1]!.replace(/[^0-9a-f]/gi, '').toLowerCase()
  return { ...none, kind: 'eui', ...one('eui:' + digits), text: 'eui:' + digits }
}

function mac(text: string): Code | null {
  const m = /^(?:mac[:=\s]*)?((?:[0-9a-f]{2}[:\-. ]?){5}[0-9a-f]{2}|(?:[0-9a-f]{4}[:\-. ]){2}[0-9a-f]{4})$/i.exec(text)
  if (!m || /^\d{12,13}$/.test(text)) return null
  const digits = m[1]!.replace(/[^0-9a-f]/gi, '').toLowerCase()
  return { ...none, kind: 'mac', ...one('mac:' + digits), text: 'mac:' + digits }
}

function serial(text: string): Code | null {
  const m = /^(?:s\/?n|serial(?:\s*(?:no\.?|number))?|序列号)[:：=\s]+([\w.\-/]{3,64})$/i.exec(text)
  if (!m) return null
  return { ...none, kind: 'sn', ...one('sn:' + m[1]!.toLowerCase()), serial: m[1]!, text: 'sn:' + m[1]! }
}

function plain(text: string): Code {
  const clean = withoutKeys(text)
  return { ...none, kind: 'plain', secret: clean !== text, text: clean.slice(0, 500) }
}

/** Text without what looks like a key: 32 hex digits or more, or a value named as one. */
export function withoutKeys(text: string): string {
  return text
    .replace(/\b((?:app|nwk|net)?_?s?_?key|psk|pass(?:word|code)?|pin|secret|token|密码|密钥)(["']?\s*[:：=]\s*["']?)([^\s;,&"'}]+)/gi, '$1$2•')
    .replace(/\b[0-9a-f]{32,}\b/gi, '•')
}

const readers: Reader[] = [tr005, matter, imei, eui, mac, serial]
