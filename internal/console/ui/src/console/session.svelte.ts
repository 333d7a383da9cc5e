import { call, type Ask } from '../lib/api'
import { endSession, present, type Account, type SignedOn } from '../lib/account'

/** Who sits at this desk, by an account or by a token. A wall reads and never acts; neither does a viewer. */
export interface Session {
  token: string // '' : the session's cookie, which no script can read
  account?: Account
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
  if (now.me?.account) void endSession().catch(() => {}) // unheard, it ends by itself
  sessionStorage.removeItem(key)
  localStorage.removeItem(key)
  now.me = undefined
}

/** signOnAs takes the desk with the account that the server has let in. */
export function signOnAs(s: SignedOn): void {
  const role = s.user.role === 'supervisor' || s.user.role === 'admin' ? 'supervisor' : 'operator'
  signOn({ token: '', account: s.user, name: s.user.display || s.user.name, role, wall: s.user.role === 'viewer', keep: true })
}

/** resume asks whether this browser has a session already: after the house's own sign-on, or in another window. */
export async function resume(): Promise<boolean> {
  try {
    const s = await present()
    if (s.must_change) return false
    signOnAs(s)
    return true
  } catch {
    return false
  }
}

/** mayManage says whether users, tokens and the audit are this person's to see. */
export const mayManage = (): boolean => !!now.me && !now.me.wall && (now.me.account ? now.me.account.role === 'admin' : true)

/** hearOthers follows another window of this browser that signs on as somebody else, or off: the cookie is one, so is the desk. */
export function hearOthers(e: StorageEvent): void {
  if (e.key === key && (now.me?.account || e.newValue)) now.me = read()
}

/** Who acts, as every change says it: body `{…, by: by()}`. */
export function by(): { name: string; role: Role } {
  return { name: now.me?.name ?? '', role: now.me?.role ?? 'operator' }
}

/** api asks the server with the desk's token. */
export async function api<T>(path: string, a: Ask = {}): Promise<T> {
  return call<T>(path, { token: now.me?.token ?? '', ...a })
}
