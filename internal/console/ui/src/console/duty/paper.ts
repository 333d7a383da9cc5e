import { ask, problemOf } from '../../lib/api'
import { me } from '../session.svelte'

/** paper reads a PDF, which no link can reach: it wants the token. */
export async function paper(path: string, body?: unknown): Promise<Blob> {
  const res = await ask(path, { token: me()?.token ?? '', within: 90_000, headers: { Accept: 'application/pdf, application/problem+json' }, ...(body ? { method: 'POST', body } : {}) })
  if (!res.ok) throw await problemOf(res)
  return res.blob()
}

/** keep gives a file to the person's own folder. */
export function keep(file: Blob, name: string): void {
  const a = document.createElement('a')
  a.href = URL.createObjectURL(file)
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000)
}
