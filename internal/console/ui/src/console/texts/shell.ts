import { words } from '../../lib/words.svelte'

/** What the shell says. */
export const texts = {
  'app.name': { zh: '城市网格运行台', en: 'City grid operations' },
  'nav.main': { zh: '主导航', en: 'Main' },
  'nav.skip': { zh: '跳到内容', en: 'Skip to content' },
  'nav.situation': { zh: '态势', en: 'Situation' },
  'nav.alarms': { zh: '告警', en: 'Alarms' },
  'nav.tickets': { zh: '工单', en: 'Tickets' },
  'nav.points': { zh: '点位', en: 'Points' },
  'nav.devices': { zh: '设备', en: 'Devices' },
  'nav.units': { zh: '单位', en: 'Units' },
  'nav.figures': { zh: '指标', en: 'Figures' },
  'nav.duty': { zh: '值守', en: 'Duty' },
  'nav.system': { zh: '系统', en: 'System' },
} as const

export const t = words(texts)
