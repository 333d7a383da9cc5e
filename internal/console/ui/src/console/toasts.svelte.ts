import { Problem, Unreachable } from '../lib/api'
import { words } from '../lib/words.svelte'

export interface Toast {
  n: number
  text: string
  tone: 'plain' | 'good' | 'bad'
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
export function toast(text: string, more: { tone?: Toast['tone']; undo?: Toast['undo'] } = {}): void {
  const made: Toast = { n: ++n, text, tone: more.tone ?? 'plain', undo: more.undo }
  now.toasts = [...now.toasts, made].slice(-most)
  if (made.tone !== 'bad') setTimeout(() => dismiss(made.n), stays)
}

export function dismiss(which: number): void {
  now.toasts = now.toasts.filter((x) => x.n !== which)
}

/** failed says why something was not done. */
export function failed(err: unknown): void {
  toast(wording(err), { tone: 'bad' })
}

const t = words({
  invalid: { zh: '未执行：{detail}', en: 'Not done: {detail}' },
  not_found: { zh: '已不存在：{detail}', en: 'Not there any more: {detail}' },
  conflict: { zh: '情况已变化，请核对后重试：{detail}', en: 'It has changed meanwhile, look again: {detail}' },
  unauthorized: { zh: '令牌无效，请重新登录', en: 'The token is not taken: sign on again' },
  forbidden: { zh: '无权执行：{detail}', en: 'Not allowed: {detail}' },
  unavailable: { zh: '服务暂不可用：{detail}', en: 'Not available now: {detail}' },
  other: { zh: '失败：{detail}', en: 'Failed: {detail}' },
  unreachable: { zh: '联系不上服务器，不知是否已执行；恢复后请核对', en: 'The server gives no answer; whether it was done is not known. Look when it is back' },
})

/** wording is an error in the person's language, by its code; the server's own words stay as they are. */
export function wording(err: unknown): string {
  if (err instanceof Unreachable) return t('unreachable')
  if (err instanceof Problem) {
    const known = ['invalid', 'not_found', 'conflict', 'unauthorized', 'forbidden', 'unavailable'] as const
    return t(known.find((c) => c === err.code) ?? 'other', { detail: err.detail })
  }
  return t('other', { detail: String(err) })
}
