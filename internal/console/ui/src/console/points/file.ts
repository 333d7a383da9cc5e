import { ask, problemOf } from '../../lib/api'
import { me } from '../session.svelte'
import { failed } from '../toasts.svelte'

/** keep reads a file with the desk's token and hands it to the browser to keep. */
export async function keep(path: string, name: string): Promise<void> {
  try {
    const res = await ask(path, { token: me()?.token, headers: { Accept: '*/*' }, within: 120_000 })
    if (!res.ok) throw await problemOf(res)
    const url = URL.createObjectURL(await res.blob())
    const a = Object.assign(document.createElement('a'), { href: url, download: name })
    a.click()
    setTimeout(() => URL.revokeObjectURL(url), 60_000)
  } catch (err) {
    failed(err)
  }
}
