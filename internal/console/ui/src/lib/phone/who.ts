import { get } from '../api'
import type { Owner } from './act'
import { t } from './texts'

export interface Me {
  role: string
  name: string
  unit: { id: string; name: string; kind: string } | null
}

/** whoIs asks for whom a token stands. */
export const whoIs = (token: string): Promise<Me> => get<Me>('/me', { token })

/** ownerName is what whose work is called: the person, where one has an account, and the unit. */
export const ownerName = (o: Owner): string => [o.person, o.name].filter(Boolean).join(' · ') || t('me.admin')
