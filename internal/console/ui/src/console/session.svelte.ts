import { call, type Ask } from '../lib/api'

/** Who sits at this desk. A wall reads and never acts. */
export interface Session {
  token: string
  name: string
  role: Role
  wall: boolean
  keep: boolean // also after the browser was closed
}

/** What a person at the desk is, as the server takes it in by.role. The duty lead is a supervisor. */
export type Role = 'operator' | 'supervisor'

const key = 'gridgate.console'
const now = $state<{ me: Session | undefined; refused: boolean }>({ me: read(), refused: false })

function read(): Session | undefined {
  try {
    const text = sessionStorage.getItem(key) ?? localStorage.getItem(key)
    return text ? (JSON.parse(text) as Session) : undefined
  } catch {
    return undefined // storage is switched off, or holds something else
  }
}

export function me(): Session | undefined {
  return now.me
}

/** The token is not, or no longer, taken. */
export function refused(): boolean {
  return now.refused
}

export function setRefused(yes: boolean): void {
  now.refused = yes
}

export function signOn(s: Session): void {
  now.me = s
  now.refused = false
  ;(s.keep ? localStorage : sessionStorage).setItem(key, JSON.stringify(s))
}

export function signOff(): void {
  sessionStorage.removeItem(key)
  localStorage.removeItem(key)
  now.me = undefined
}

/** Who acts, as every change says it: body `{…, by: by()}`. */
export function by(): { name: string; role: Role } {
  return { name: now.me?.name ?? '', role: now.me?.role ?? 'operator' }
}

/** api asks the server with the desk's token. */
export async function api<T>(path: string, a: Ask = {}): Promise<T> {
  return call<T>(path, { token: now.me?.token ?? '', ...a })
}
