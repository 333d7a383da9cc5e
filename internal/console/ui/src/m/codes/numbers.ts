// Codes that are one number: IMEI, EUI-64, MAC and serial number, in the spellings that makers print.
import { luhn } from './checks'
import { add, blank, identity, onlyHex, warn, type Code, type Reader } from './code'

const spelled = {
  imei: /^(?:urn:imei:|imei\s*[:：=]?\s*)?([0-9]{15})(?:\s*[;,]\s*(?:imsi\s*[:：=]?\s*)?[0-9]{15})?$/i,
  eui: /^(?:(?:dev)?[ _-]?eui(?:64|-64)?\s*[:：=]?\s*|ieee\s*[:：=]?\s*|0x)?((?:[0-9a-f]{2}[:. -]?){7}[0-9a-f]{2}|(?:[0-9a-f]{4}[:. -]){3}[0-9a-f]{4})$/i,
  mac: /^(?:(?:mac|eui-?48|wifi mac)(?: address)?\s*[:：=]?\s*)?((?:[0-9a-f]{2}[:. -]?){5}[0-9a-f]{2}|(?:[0-9a-f]{4}[:. -]){2}[0-9a-f]{4}|[0-9a-f]{6}-[0-9a-f]{6})$/i,
  serial: /^(?:s\/?n|serial(?:\s*(?:no\.?|number))?|序列号|编号)(?:\s*[:：=]\s*|\s+)([0-9a-z][0-9a-z._/-]{2,63})$/i,
}

/** Spaces and dashes between digits are how people group them. */
export const withoutGaps = (text: string): string => text.replace(/(?<=[0-9])[ -](?=[0-9])/g, '')

export const readIMEI: Reader = (text) => {
  const m = spelled.imei.exec(withoutGaps(text))
  if (!m) return null
  const c = blank('imei')
  add(c, identity('imei', m[1]!))
  if (!luhn(m[1]!)) warn(c, 'luhn')
  return c
}

export const readEUI: Reader = (text) => {
  const m = spelled.eui.exec(text)
  if (!m) return null
  const c = blank('eui')
  euis(c, onlyHex(m[1]!))
  return c
}

export const readMAC: Reader = (text) => {
  const m = spelled.mac.exec(text)
  if (!m || /^[0-9]+$/.test(text)) return null // twelve digits alone are a number of goods
  const c = blank('mac')
  macs(c, onlyHex(m[1]!))
  return c
}

export const readSerial: Reader = (text) => {
  const m = spelled.serial.exec(text)
  if (!m) return null
  const c = blank('sn')
  c.serial = m[1]!
  add(c, identity('sn', m[1]!))
  return c
}

/** Over LoRaWAN a device has its EUI; over Zigbee a bridge names it by the same digits. */
export function euis(c: Code, digits: string): void {
  add(c, identity('eui', digits), identity('z2m', '0x' + digits))
  checkEUI(c, digits)
}

export function macs(c: Code, digits: string): void {
  add(c, identity('mac', digits), identity('eui', digits.slice(0, 6) + 'fffe' + digits.slice(6)))
  checkEUI(c, digits)
}

export function checkEUI(c: Code, digits: string): void {
  if (/^(0+|f+)$/i.test(digits)) warn(c, 'test_eui')
}

/** Adds what a value is, when something else says of what kind it is. */
export function named(c: Code, kind: string, value: string): void {
  const digits = onlyHex(value)
  if (kind === 'eui') {
    if (digits.length === 16) euis(c, digits)
  } else if (kind === 'mac') {
    if (digits.length === 12) macs(c, digits)
  } else if (kind === 'imei') {
    const d = withoutGaps(value)
    if (/^[0-9]{15}$/.test(d)) add(c, identity('imei', d))
  } else add(c, identity(kind, value))
}
