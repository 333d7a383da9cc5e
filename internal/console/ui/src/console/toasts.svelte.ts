import { Problem, Unreachable } from '../lib/api'
import { lang, words } from '../lib/words.svelte'
import { inChinese } from './refusals'

export interface Toast {
  n: number
  text: string
  tone: 'plain' | 'good' | 'bad'
  behind?: string // the server's own words, where the text is not those
  undo?: () => void | Promise<void>
}

const stays = 8_000
const most = 4

const now = $state<{ toasts: Toast[] }>({ toasts: [] })
let n = 0

export function toasts(): Toast[] {
  return now.toasts
}

/** toast says what was done, for eight seconds; what can be taken back has its button. What went wrong stays until it is closed. */
export function toast(text: string, more: { tone?: Toast['tone']; behind?: string; undo?: Toast['undo'] } = {}): void {
  const made: Toast = { n: ++n, text, tone: more.tone ?? 'plain', behind: more.behind, undo: more.undo }
  now.toasts = [...now.toasts, made].slice(-most)
  if (made.tone !== 'bad') setTimeout(() => dismiss(made.n), stays)
}

export function dismiss(which: number): void {
  now.toasts = now.toasts.filter((x) => x.n !== which)
}

/** failed says why something was not done, with the server's own words behind it. */
export function failed(err: unknown): void {
  const text = wording(err)
  const own = err instanceof Problem ? err.detail : ''
  toast(text, { tone: 'bad', behind: own && !text.includes(own) ? own : undefined })
}

const t = words({
  invalid: { zh: '未执行：{detail}', en: 'Not done: {detail}' },
  not_found: { zh: '已不存在：{detail}', en: 'Not there any more: {detail}' },
  conflict: { zh: '未执行：{detail}', en: 'It has changed meanwhile, look again: {detail}' },
  unauthorized: { zh: '令牌无效，请重新登录', en: 'The token is not taken: sign on again' },
  forbidden: { zh: '无权执行：{detail}', en: 'Not allowed: {detail}' },
  unavailable: { zh: '服务暂不可用：{detail}', en: 'Not available now: {detail}' },
  other: { zh: '失败：{detail}', en: 'Failed: {detail}' },
  unreachable: { zh: '联系不上服务器，不知是否已执行；恢复后请核对', en: 'The server gives no answer; whether it was done is not known. Look when it is back' },
})

const plain = ['invalid', 'conflict', 'forbidden'] as const

/** wording is an error in the person's language: by its sentence where that is known, else by its code, with the server's own words. */
export function wording(err: unknown): string {
  if (err instanceof Unreachable) return t('unreachable')
  if (err instanceof Problem) {
    const meant = lang() === 'zh' ? inChinese(err.detail) : undefined
    if (meant) return err.code === 'not_found' || err.code === 'unavailable' ? meant : t(plain.find((c) => c === err.code) ?? 'other', { detail: meant })
    const known = ['invalid', 'not_found', 'conflict', 'unauthorized', 'forbidden', 'unavailable'] as const
    return t(known.find((c) => c === err.code) ?? 'other', { detail: err.detail })
  }
  return t('other', { detail: String(err) })
}
