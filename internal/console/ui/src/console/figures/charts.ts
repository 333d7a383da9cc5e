// The parts of ECharts that are used, and a Plot as it wants it. Loaded with the screen of figures alone.
import { BarChart, LineChart } from 'echarts/charts'
import { AriaComponent, GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from 'echarts/components'
import * as echarts from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'
import { rungs, say, type Plot } from './plot'

echarts.use([BarChart, LineChart, GridComponent, TooltipComponent, LegendComponent, MarkLineComponent, AriaComponent, CanvasRenderer])

/** The colours of a theme, read from the page. Series: after Okabe and Ito, told apart by all who see colours badly; patterns beside them. */
export interface Look { ink: string; soft: string; line: string; card: string; warn: string; series: string[]; font: number; family: string; light: boolean }

const series = { dark: ['#56b4e9', '#e69f00', '#2fc39a', '#d793bd', '#f0e442'], light: ['#0072b2', '#b35c00', '#00735a', '#a0457f', '#6b5b00'] }

export function lookOf(el: HTMLElement, light: boolean): Look {
  const css = getComputedStyle(el)
  const v = (name: string) => css.getPropertyValue(name).trim()
  return {
    ink: v('--ink'), soft: v('--soft'), line: v('--line'), card: v('--card'), warn: v('--warn'), series: light ? series.light : series.dark,
    font: parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.8125, family: css.fontFamily, light,
  }
}

export interface Words { none: string; locale: string }

export function optionOf(p: Plot, look: Look, w: Words): echarts.EChartsCoreOption {
  const rows = p.kind === 'rows'
  const text = { color: look.soft, fontSize: look.font, fontFamily: look.family }
  const value = {
    type: p.log ? 'log' : 'value', min: p.log ? 1 : undefined, axisTick: p.log ? { customValues: rungs(p) } : undefined, axisLabel: { ...text, hideOverlap: true, customValues: p.log ? rungs(p) : undefined, formatter: (v: number) => (p.log ? longest(v) : say({ ...p, unit: undefined }, v, w.locale, '')) },
    splitLine: { lineStyle: { color: look.line } }, minInterval: p.share || p.digits ? undefined : 1, max: undefined,
  }
  const names = { type: 'category', data: p.labels, inverse: rows, axisLabel: { ...text, hideOverlap: true, ...(rows ? { width: look.font * 13, overflow: 'truncate' } : {}) }, axisLine: { lineStyle: { color: look.line } }, axisTick: { show: false } }
  return {
    animation: false,
    aria: { enabled: false, decal: { show: p.series.length > 1 && p.kind !== 'line', decals: decals(look) } },
    color: look.series,
    textStyle: { fontFamily: look.family, fontSize: look.font },
    grid: { left: 8, right: rows && p.series.length === 1 ? look.font * 4.5 : 20, top: p.series.length > 1 ? look.font * 3 : look.font * 1.6, bottom: 4, containLabel: true },
    legend: p.series.length > 1 ? { top: 0, left: 0, icon: p.kind === 'line' ? undefined : 'rect', textStyle: { ...text, color: look.ink } } : undefined,
    tooltip: {
      trigger: 'axis', renderMode: 'richText', confine: true, axisPointer: { type: p.kind === 'line' ? 'line' : 'shadow' }, backgroundColor: look.card, borderColor: look.line,
      textStyle: { color: look.ink, fontSize: look.font, fontFamily: look.family },
      formatter: (at: unknown) => {
        const i = (at as { dataIndex: number }[])[0]?.dataIndex ?? 0
        return [p.labels[i], ...p.series.map((s) => `${s.name}  ${p.log && s.values[i] !== undefined ? longest(s.values[i]!) : say(p, s.values[i], w.locale, w.none)}`)].join('\n')
      },
    },
    xAxis: rows ? value : names,
    yAxis: rows ? names : value,
    series: p.series.map((s, i) => ({
      name: s.name, type: p.kind === 'line' ? 'line' : 'bar', data: s.values.map((v) => v ?? null), barMaxWidth: look.font * 1.6, connectNulls: false,
      symbol: ['circle', 'triangle', 'rect', 'diamond'][i % 4], symbolSize: p.labels.length > 40 ? 3 : 6, showSymbol: true, lineStyle: { width: 2, type: ['solid', 'dashed', 'dotted'][i % 3] },
      label: rows && p.series.length === 1 ? { show: true, position: 'right', color: look.ink, fontSize: look.font, formatter: (x: { dataIndex: number }) => say(p, s.values[x.dataIndex], w.locale, w.none) } : undefined,
      markLine: i === 0 && p.limits?.length ? { silent: true, symbol: 'none', data: p.limits.map((l) => ({ [rows ? 'xAxis' : 'yAxis']: l.at, name: l.name })), lineStyle: { color: look.warn, type: 'dashed' }, label: { formatter: '{b}', position: 'insideStartTop', color: look.warn, fontSize: look.font } } : undefined,
    })),
  }
}

/** decals are patterns that tell bars apart without their colours. */
function decals(look: Look) {
  const color = look.light ? 'rgba(255,255,255,.45)' : 'rgba(0,0,0,.4)'
  return [{ symbol: 'none' }, { symbol: 'line', rotation: Math.PI / 4, dashArrayX: [1, 0], dashArrayY: [3, 4], color }, { symbol: 'circle', dashArrayX: [[6, 6], [0, 6, 6, 0]], dashArrayY: [6, 0], symbolSize: 0.7, color }, { symbol: 'line', rotation: -Math.PI / 4, dashArrayX: [1, 0], dashArrayY: [2, 7], color }]
}

/** longest writes seconds on an axis of times. */
const longest = (s: number) => (s < 100 ? `${Math.round(s * 10) / 10} s` : s < 6_000 ? `${Math.round(s / 6) / 10} min` : s < 86_400 ? `${Math.round(s / 360) / 10} h` : `${Math.round(s / 8_640) / 10} d`)

export { echarts }
