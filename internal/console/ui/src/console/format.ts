import { locale } from '../lib/words.svelte'

/** count writes a whole number with separators. */
export function count(n: number): string {
  return new Intl.NumberFormat(locale()).format(n)
}

/** bytes writes a size in binary units: 1.5 GiB. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let i = 0
  while (n >= 1024 && i < units.length - 1) {
    n /= 1024
    i++
  }
  return `${n >= 100 || i === 0 ? Math.round(n) : n.toFixed(1)} ${units[i]}`
}
