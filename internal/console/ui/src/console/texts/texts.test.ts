import { expect, test } from 'vitest'

test('Every text of the console is there in both languages with the same values in it', () => {
  const parts = import.meta.glob<{ texts?: Record<string, { zh: string; en: string }> }>('./*.ts', { eager: true })
  const values = (s: string) => [...new Set([...s.matchAll(/\{\w+\}/g)].map((m) => m[0]))].sort()
  for (const [file, part] of Object.entries(parts)) {
    for (const [key, both] of Object.entries(part.texts ?? {})) {
      expect(both.zh, `${file} ${key}`).not.toBe('')
      expect(both.en, `${file} ${key}`).not.toBe('')
      expect(values(both.zh), `${file} ${key}`).toEqual(values(both.en))
    }
  }
})
