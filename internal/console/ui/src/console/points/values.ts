import { t } from '../texts/points'
import { isCondition, unitOf } from './model'

/** worded is a value as one says it: a condition is yes or no, a number has its unit of measure. */
export function worded(signal: string, value: number | boolean): string {
  if (typeof value === 'boolean' || isCondition(signal)) return value ? t('value.yes') : t('value.no')
  const u = unitOf(signal)
  const n = Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toFixed(2)).toString()
  return u ? `${n} ${u}` : n
}
