import { expect, test } from 'vitest'
import { inChinese, rules } from './refusals'

const sources = import.meta.glob<string>(['../../../../**/*.go', '!../../../../**/*_test.go', '!../../../../console/**'], { query: '?raw', import: 'default', eager: true })

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
  expect(inChinese('something that nobody has met')).toBeUndefined()
})
