// Users, their sessions and API tokens, as the server gives them.
import type { AccountRole, Scope } from '../../lib/account'

export interface User {
  id: string; name: string; display?: string; role: AccountRole; scope: Scope; units?: string[]
  disabled?: boolean; must_change?: boolean; outside?: string; created: string; seen?: string; totp?: boolean; passkeys?: number
}
export interface Token { id: string; name: string; role: AccountRole; scope: Scope; unit?: string; wall?: boolean; by: string; created: string; expires?: string; used?: string }
export interface OpenSession { id: string; way: string; from?: string; agent?: string; created: string; used: string; expires: string }

export const roles: AccountRole[] = ['viewer', 'operator', 'supervisor', 'technician', 'unit', 'admin']

/** tokenRoles are those of programs: a standby is never a person. */
export const tokenRoles: AccountRole[] = [...roles, 'standby']

/** ofUnit says which roles act for a unit. */
export const ofUnit = (role: AccountRole): boolean => role === 'technician' || role === 'unit'
