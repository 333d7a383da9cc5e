import { words } from '../../lib/words.svelte'

/** What the pieces of the console say. */
export const texts = {
  'clock.due': { zh: '到期', en: 'due' },
  'clock.over': { zh: '已超时', en: 'overdue' },
  'clock.stopped': { zh: '已暂停', en: 'stopped' },
  close: { zh: '关闭', en: 'Close' },
  behind: { zh: '服务器原话', en: 'In the words of the server' },
  undo: { zh: '撤销', en: 'Undo' },
  more: { zh: '更多', en: 'More' },
  loading: { zh: '正在读取…', en: 'Loading…' },
  retry: { zh: '重试', en: 'Try again' },
  stale: { zh: '数据可能已过时', en: 'May be out of date' },
  'stale.since': { zh: '{at} 的数据', en: 'As of {at}' },
  'table.rows': { zh: '共 {n} 行', en: '{n} rows' },
  notices: { zh: '提示', en: 'Notices' },
} as const

export const t = words(texts)
