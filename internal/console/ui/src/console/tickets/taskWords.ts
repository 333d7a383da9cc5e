import { told } from '../refusals'
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

/** said words what the gateway gives as a reason: a task of the desk, or that nobody has an alarm. What a person wrote stays. */
export function said(text: string | undefined, tasks: Task[]): string {
  if (!text) return ''
  const task = tasks.find((k) => k.text === text)
  if (task) return taskWords(task)
  const of = /^(?:alarm \S+: )?(?:(?<watch>no seat watches)|nobody has (?:taken it|it) for (?<lasted>\S+?))(?::? to (?<to>all seats|the duty lead))?$/.exec(text)?.groups
  if (!of) return told(text)
  return [of.watch ? t('says.nowatch') : t('says.nobody', { for: of.lasted ?? '' }), of.to && t(of.to === 'all seats' ? 'says.toseats' : 'says.tolead')].filter(Boolean).join(' · ')
}
