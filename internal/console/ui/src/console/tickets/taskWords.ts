import { name } from '../texts/names'
import { t, texts } from '../texts/tasks'
import type { Task } from './stages'
import { unitName } from './units.svelte'

/** taskWords says a task in the person's language. */
export function taskWords(k: Task): string {
  const f = k.facts ?? {}
  const code = k.code as keyof typeof texts | undefined
  if (!code || !(code in texts)) return k.text
  const unit = (id: string | undefined) => (id ? unitName(id) : '')
  return t(code, {
    ...f,
    unit: code === 'nobody_opened' ? (f.unit ? t('and.street', { unit: unit(f.unit) }) : t('street')) : unit(f.unit ?? k.unit),
    proposed: unit(f.proposed),
    clock: name('clock', f.clock),
    kinds: (f.kinds ?? '').split(' or ').map((x) => name('unit', x)).join(t('or')),
    of: whose(f.of),
    role: name('contact', f.role),
    entry: t(f.entry === 'confirmed_only' ? 'entry.confirmed_only' : 'entry.operator'),
  })
}

/** whose contacts are meant: "unit:fire-1", "seat:duty-lead", "building:b-3". */
function whose(of: string | undefined): string {
  const [kind, id] = (of ?? '').split(/:(.*)/)
  if (kind === 'unit') return unitName(id ?? '')
  return kind === 'seat' ? t('seat.lead') : (of ?? '')
}
