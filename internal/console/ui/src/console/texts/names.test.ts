import { expect, test } from 'vitest'
import rules from '../../../../../../configs/rules.yaml?raw'
import { names } from './names'

test('An event is called at the desk what the rules and the tickets call it', () => {
  const titles = [...rules.matchAll(/^ {2}([\w.]+): +\{kind:.*title_zh: ([^,]+), +title_en: ([^}]+)\}/gm)]
  expect(titles.length).toBeGreaterThan(20)
  for (const [, code, zh, en] of titles) expect(names.type[code!], code).toEqual({ zh: zh!.trim(), en: en!.trim() })
})
