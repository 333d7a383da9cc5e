import { expect, test } from 'vitest'
import { words } from './words.svelte'

test('A text takes its values, and one that is not there is its key: no page fails for want of a word', () => {
  const t = words({ count: { zh: '共 {n} 条', en: '{n} in all' } })
  expect(t('count', { n: 3 })).toBe('共 3 条')
  expect(t('state.new_of_the_server' as 'count')).toBe('state.new_of_the_server')
})
