import { expect, test } from 'vitest'
import { names } from '../texts/names'
import { texts } from '../texts/tasks'
import type { Task } from './stages'
import { said, taskWords } from './taskWords'

const source = Object.values(import.meta.glob<string>(['../../../../../ticket/*.go', '!**/*_test.go'], { query: '?raw', import: 'default', eager: true })).join('\n')

test('Every task that the server can set has its words here', () => {
  const codes = [...source.matchAll(/\bdecide\("(\w+)"|\bCode: "(\w+)"/g)].map((m) => m[1] ?? m[2]!)
  expect(codes.length).toBeGreaterThan(12)
  expect(codes.filter((c) => !(c in texts))).toEqual([])
  expect(source, 'a task without a code').not.toMatch(/grid\.Task\{(?![^}]*Code:)[^}]*Text: (?!fmt\.Sprintf\(format)/)
})

test('A task is said in the language of the desk; one without a code by the server', () => {
  const task = (more: Partial<Task>): Task => ({ n: 1, kind: 'decide', text: 'accept is overdue: act for it', opened: '', ...more })
  expect(taskWords(task({ code: 'overdue', facts: { clock: 'accept' } }))).toBe(`“${names.clock.accept!.zh}”已超时：请代为处理`)
  expect(taskWords(task({ code: 'no_unit', facts: { tier: '1', kinds: 'residents_committee or property' } }))).toContain('居委会、物业')
  expect(taskWords(task({}))).toBe('accept is overdue: act for it')
  expect(taskWords(task({ code: 'newer' }))).toBe('accept is overdue: act for it')
})

test('In the story a reason of the gateway is said in the language of the page, and what a person wrote stays', () => {
  const task = { n: 1, kind: 'decide', text: 'accept is overdue: act for it', opened: '', code: 'overdue', facts: { clock: 'accept' } } as Task
  expect(said('accept is overdue: act for it', [task])).toBe(taskWords(task))
  expect(said('alarm 01M8: no seat watches', [])).toBe('没有席位在值守')
  expect(said('nobody has taken it for 30s: to all seats', [])).toBe('30s 无人接手 · 已提醒所有席位')
  expect(said('车坏了', [])).toBe('车坏了')
})
