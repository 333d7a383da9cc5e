import { lang } from '../words.svelte'

/** inOwnWords is a refusal of the server's in Chinese, as the desk reads it; undefined: it is not known, or not asked for. It comes when it is wanted. */
export async function inOwnWords(detail: string): Promise<string | undefined> {
  if (lang() !== 'zh') return undefined
  try {
    const { inChinese, learn } = await import('../../console/refusals')
    await learn()
    return inChinese(detail)
  } catch {
    return undefined // it is not on this phone yet
  }
}
