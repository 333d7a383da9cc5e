// What buildings are called. Points and stops carry a building's id; a person reads its name.
import { kept } from '../lib/kept'
import { onPack } from './pack'

const now = $state<{ names: Record<string, string> }>({ names: {} })

/** buildingName is the id itself where no name is known. */
export const buildingName = (id: string): string => now.names[id] || id

/** startBuildings reads the names that are kept, and again after each field pack. */
export async function startBuildings(): Promise<void> {
  onPack(() => void load())
  await load()
}

async function load(): Promise<void> {
  const got = await kept<{ items?: { id: string; name?: string }[] }>('/buildings?limit=1000').catch(() => undefined)
  now.names = Object.fromEntries((got?.data.items ?? []).map((b) => [b.id, b.name ?? '']))
}
