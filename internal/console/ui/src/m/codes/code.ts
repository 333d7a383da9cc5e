export type CodeKind = 'tr005' | 'matter' | 'imei' | 'mac' | 'eui' | 'sn' | 'gw1' | 'gs1' | 'plain' | 'point'

/** What is odd about a code, in a word that the dictionary has a sentence for. */
export type Warning = 'checksum' | 'luhn' | 'length' | 'deprecated' | 'passcode' | 'test_eui' | 'too_long'

/** What a code says. A secret in it is known to have been there and stands nowhere in this. */
export interface Code {
  kind: CodeKind
  identity: string
  /** By which the device may be known, the likeliest first. */
  identities: string[]
  maker: string
  model: string
  serial: string
  point: string
  secret: boolean
  warnings: Warning[]
  /** What may be shown and kept: never the secret. */
  text: string
}

/** One sort of code: what it says, or null if the text is none of it. */
export type Reader = (text: string, symbology: string) => Code | null

export const blank = (kind: CodeKind): Code => ({ kind, identity: '', identities: [], maker: '', model: '', serial: '', point: '', secret: false, warnings: [], text: '' })

export function add(c: Code, ...ids: string[]): void {
  for (const id of ids) if (id && !c.identities.includes(id)) c.identities.push(id)
  c.identity = c.identities[0] ?? ''
}

export function warn(c: Code, w: Warning): void {
  if (!c.warnings.includes(w)) c.warnings.push(w)
}

/** An identity in the form that all have: lower case, nothing that breaks a topic or a path. */
export function identity(kind: string, name: string): string {
  const id = kind + ':' + name.toLowerCase()
  return name && id.length <= 128 && /^[\x21-\x7e]+$/.test(name) && !/[#+?%"\\]/.test(name) ? id : ''
}

export const onlyHex = (s: string): string => s.toLowerCase().replace(/[^0-9a-f]/g, '')

const secretNames =
  '(?:gen[_ -]?)?(?:app|nwk|network|net|join)?[_ -]?(?:s|root)?[_ -]?key|psk|pass(?:word|code|phrase)?|pwd|pin|puk|secret|(?:owner|claim|auth|access)?[_ -]?token|install[_ -]?code|口令|密码|密钥'
const value = `["']?\\s*[:=：]\\s*["']?`
const secretPair = new RegExp(`(^|[^0-9a-z])((?:${secretNames})${value})[^\\s;,|&"'}]+`, 'gi')
const longHex = /(^|[^0-9a-z])[0-9a-f]{32,}(?=$|[^0-9a-z])/gi
export const secretName = new RegExp(`^(?:${secretNames})$`, 'i')
export const namedFields = () =>
  new RegExp(
    '(?:^|[^0-9a-z_])(dev[_ -]?eui|eui[_ -]?64|eui|ieee(?:[_ -]?addr(?:ess)?)?|imei|imsi|(?:wifi[_ -]?|ble[_ -]?)?mac(?:[_ -]?addr(?:ess)?)?|' +
      's/?n|serial(?:[_ -]?(?:no\\.?|number))?|序列号|编号|model|type|product|p/?n|型号|maker|vendor|brand|manufacturer|厂家|品牌|' +
      `${secretNames})${value}([^\\s;,|&"'}]+)`,
    'gi',
  )

/** Text with dots in the place of what may be a key. */
export const withoutKeys = (text: string): string => text.replace(secretPair, '$1$2•').replace(longHex, '$1•')
export const looksSecret = (text: string): boolean => withoutKeys(text) !== text
