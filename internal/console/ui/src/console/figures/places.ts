import type { Both } from '../../lib/both'

/** What the palette finds of this screen, without loading it. */
export const places: { to: string; text: Both }[] = [
  { to: '#/figures?view=streets', text: { zh: '指标：街镇排名', en: 'Figures: streets' } },
  { to: '#/figures?view=hotspots', text: { zh: '指标：高发点位', en: 'Figures: hot-spots' } },
  { to: '#/figures?view=sensors', text: { zh: '指标：设备健康', en: 'Figures: sensor health' } },
  { to: '#/figures?view=load', text: { zh: '指标：值班负荷', en: 'Figures: operator load' } },
  { to: '#/figures?view=models', text: { zh: '指标：型号误报', en: 'Figures: models by false alarms' } },
  { to: '#/figures?view=contractors', text: { zh: '指标：维保单位', en: 'Figures: contractors' } },
]
