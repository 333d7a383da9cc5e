import { db } from '../../lib/db'
import { newId } from '../../lib/id'

/** The phone's session in a visit: with it, and only with it, "yes, it is me" is taken. */
export async function sessionOf(visit: string): Promise<string> {
  const d = await db()
  const name = 'visit.session.' + visit
  const had = (await d.get('settings', name)) as string | undefined
  if (had) return had
  const made = newId()
  await d.put('settings', made, name)
  return made
}
