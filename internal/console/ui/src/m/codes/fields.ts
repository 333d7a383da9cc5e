// Names and values, as many makers print them ("DevEUI: …, SN: …, AppKey: …"), and makers' own
// forms, which are data of the server.
import { luhn } from './checks'
import { blank, looksSecret, namedFields, secretName, warn, type Code, type Reader } from './code'
import { named, withoutGaps } from './numbers'

export const readFields: Reader = (text) => {
  const c = blank('plain')
  let key = false
  for (const m of text.matchAll(namedFields())) {
    key ||= secretName.test(m[1]!)
    field(c, m[1]!.toLowerCase(), m[2]!)
  }
  c.secret = key || looksSecret(text)
  return c.identities.length || key ? c : null
}

function field(c: Code, name: string, value: string): void {
  if (secretName.test(name) || name === 'imsi') return
  if (name.includes('eui') || name.startsWith('ieee')) named(c, 'eui', value)
  else if (name === 'imei') {
    const d = withoutGaps(value)
    if (/^[0-9]{15}$/.test(d) && !luhn(d)) warn(c, 'luhn')
    named(c, 'imei', value)
  } else if (name.includes('mac')) named(c, 'mac', value)
  else if (/^(?:s\/?n|serial.*|序列号|编号)$/.test(name)) {
    // Which of a maker's numbers names the device is the server's to say: not an identity here.
    c.serial = value
  } else if (/^(?:model|type|product|p\/?n|型号)$/.test(name)) c.model = value
  else c.maker = value
}

/** A maker's own form, as the server gives it. */
export interface Form {
  name: string
  maker: string
  pattern: string
  identity: string
}

/** A reader of one maker's form; a pattern that this browser does not take is left to the server. */
export function formReader(f: Form): Reader {
  let re: RegExp
  try {
    re = new RegExp(f.pattern.replace(/\(\?P</g, '(?<'), 'iu')
  } catch {
    return () => null
  }
  return (text) => {
    const groups = re.exec(text)?.groups
    if (!groups) return null
    const c: Code = { ...blank('plain'), maker: f.maker, serial: groups.serial ?? '', model: groups.model ?? '' }
    if (groups.identity) named(c, f.identity, groups.identity)
    c.secret = Boolean(groups.appkey || groups.psk || groups.secret) || looksSecret(text)
    return c.identity ? c : null
  }
}
