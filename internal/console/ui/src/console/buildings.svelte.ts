import { api } from './session.svelte'

const most = 1_000
const good = 10 * 60_000

let version = $state(0)
const known = new Map<string, { name: string; at: number }>()
const asked = new Set<string>()

/** buildingName is what a building is called; its id until that is read, and where it is not registered. Reactive. */
export function buildingName(id: string | undefined): string {
  void version
  if (!id) return ''
  const has = known.get(id)
  if ((!has || Date.now() - has.at > good) && !asked.has(id)) void read(id)
  return has?.name ?? id
}

async function read(id: string): Promise<void> {
  asked.add(id)
  await Promise.resolve() // not within the drawing that asks
  const name = await api<{ name?: string }>('/buildings/' + encodeURIComponent(id)).then((b) => b.name || id, () => known.get(id)?.name ?? id)
  known.delete(id)
  known.set(id, { name, at: Date.now() })
  if (known.size > most) known.delete(known.keys().next().value!)
  asked.delete(id)
  version++
}
