import { problemOf, Unreachable } from '../../lib/api'
import type { Areas } from './measure'

const within = 20_000

/** loadAreas reads the borders. They are large and change with an import alone: the browser keeps them and asks by their tag. */
export async function loadAreas(token: string, signal: AbortSignal): Promise<Areas> {
  let res: Response
  try {
    res = await fetch('/api/v1/map/areas', { headers: { Authorization: 'Bearer ' + token }, signal: AbortSignal.any([signal, AbortSignal.timeout(within)]), cache: 'no-cache' })
  } catch (err) {
    throw new Unreachable(String(err))
  }
  if (!res.ok) throw await problemOf(res)
  return (await res.json()) as Areas
}
