import { beforeAll, expect, test } from 'vitest'
import { fitting, inChinese, learn, rules, told } from './refusals'
import { sentences as known, spoken } from './sentences'

const sources = import.meta.glob<string>(['../../../../**/*.go', '!../../../../**/*_test.go', '!../../../../console/**'], { query: '?raw', import: 'default', eager: true })

beforeAll(learn)

/** Where a page's deeds come to: each refusal made there is one that a person may read. */
const reached = new RegExp(
  '^[./]*/(' +
    [
      'api/', 'auth/(accounts|oidc|passkey|password|session|tokens|totp|tries|users)', 'bulk/', 'calendar/shift', 'commission/verdict', 'contractor/(plan|score)', 'downlink/way', 'duty/sheet', 'engine/',
      'evidence/(clean|evidence)', 'figures/', 'gateway/(contractors|credentials|duty_desk|links|people|privacy)', 'grid/(downlink|place|errors)', 'hazard/move', 'label/sheet', 'people/book',
      'profile/(candidate|cases|output|set)', 'registry/validate', 'state/(query|read|filing|registry|commit)', 'ticket/(apply|table)', '(broker|mqtt|envelope)/downlink', 'coap/(downlink|lwm2m_order)',
      'serial/(downlink|write|order|bus)',
    ].join('|') +
    ')',
)

/** The formats of refusals by where they stand; what failed inside, and what only puts others together, is left out. */
function formats(): [file: string, format: string][] {
  return Object.entries(sources)
    .filter(([file]) => reached.test(file))
    .flatMap(([file, text]) => [...text.matchAll(/Errorf\((?:grid\.)?(\w+), "((?:[^"\\]|\\.)*)"/g)].filter((m) => m[1] !== 'Internal').map((m): [string, string] => [file, m[2]!.replace(/\\"/g, '"')]))
    .filter(([, format]) => /[A-Za-z]{3}/.test(format.replace(/%[+#.\d]*[a-zA-Z]/g, '')))
}

/** said is a format with values in it. */
const said = (format: string, value: string) => format.replace(/%%/g, '%').replace(/%[+#.\d]*q/g, `"${value}"`).replace(/%[+#.\d]*d/g, '7').replace(/%[+#.\d]*[a-zA-Z]/g, value)

test('Each refusal that a page can provoke is said in Chinese', () => {
  const all = formats()
  expect(all.length).toBeGreaterThan(500)
  const silent = all.filter(([, format]) => !['retired', 'operator', '7'].some((v) => inChinese(said(format, v))))
  expect(silent.map(([file, format]) => `${file.replace(/^[./]*/, '')}: ${format}`)).toEqual([])
})

test('Each format in Chinese is one that the server has, and takes no value that it does not give', () => {
  const all = new Set(formats().map(([, format]) => format))
  expect(Object.keys(known).filter((format) => !all.has(format))).toEqual([])
  for (const [format, zh] of Object.entries(known)) {
    const values = [...format.matchAll(/%[+#.\d]*[a-zA-Z]/g)].length
    for (const [, n] of zh.matchAll(/\{(\d)/g)) expect(Number(n), format).toBeLessThanOrEqual(values)
    expect(fitting(format).test(said(format, 'x')), format).toBe(true)
  }
})

/** Every sentence that the server can refuse with, its verbs filled with words such as it says. */
function sentences(): string[] {
  const formats = Object.values(sources).flatMap((text) => [...text.matchAll(/Errorf\((?:grid\.)?\w+, "((?:[^"\\]|\\.)*)"/g)].map((m) => m[1]!.replace(/\\"/g, '"')))
  return formats.flatMap((f) => ['retired', 'operator', '7'].map((w) => f.replace(/%%/g, '%').replace(/%[+#.\d]*q/g, `"${w}"`).replace(/%[+#.\d]*[a-z]/g, w)))
}

test('Each rule fits a sentence that the server can say', () => {
  const all = sentences()
  expect(all.length).toBeGreaterThan(500)
  const own = [/body/, /not answered/, /takes no/, /is not allowed/] // huma's sentences, and those that are put together of parts
  const idle = rules.filter(([fits]) => !own.some((o) => o.test(fits.source)) && !all.some((s) => fits.test(s)))
  expect(idle.map(([fits]) => String(fits))).toEqual([])
})

test('A refusal says in Chinese what it is and what to do, with the names in it', () => {
  expect(inChinese('ticket T1 is closed: it has ended and takes no note')).toBe('工单已是“已结案”，不再接受操作')
  expect(inChinese('point "p-1" is registered already')).toBe('点位 p-1 已登记')
  expect(inChinese('seat desk-1 is watched by 林: want over to take it')).toBe('席位 desk-1 正由 林 值守：如需接替，请选“接替”')
  expect(inChinese('device sn:1 is barred: revive it first')).toBe('设备 sn:1 是“已禁用”：请先恢复使用')
  expect(inChinese('round R1 was cancelled: 下雨')).toBe('路线已取消：下雨')
  expect(inChinese('operator may not extend: want supervisor')).toBe('“值班员”无权这样操作')
  expect(inChinese('installation of sn:1: point "p-1" is not in your hands')).toBe('点位 p-1 不归您维护')
  expect(inChinese('something that nobody has met')).toBeUndefined()
})

test('What the gateway tells of itself is said in Chinese, each part of it, and what a person wrote stays', () => {
  const all = Object.values(sources).join('\n').replaceAll('\\"', '"')
  // Put together with a plus there: by how it begins.
  const there = (format: string) => all.includes(`"${format}"`) || all.includes(`"${format.split('%')[0]}"`)
  expect(Object.keys(spoken).filter((format) => !there(format))).toEqual([])
  expect(told('its EUI begins with 24e124; the payload decodes to 3 readings')).toBe('EUI 以 24e124 开头；载荷解出 3 个读数')
  expect(told('device sn:1 was retired (林): 进水')).toBe('设备 sn:1 已停用（林）：进水')
  expect(told('门锁着，下午再来')).toBe('门锁着，下午再来')
  expect(told(undefined)).toBe('')
})
