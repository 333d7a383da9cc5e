// What the server knows of accounts and sessions, as its API says it.
import { call } from './api'

export interface Scope { district?: string; street?: string; community?: string; compound?: string; unit?: string; contractor?: string }
export type AccountRole = 'viewer' | 'operator' | 'supervisor' | 'technician' | 'unit' | 'admin' | 'standby'
export interface Account { id: string; name: string; display?: string; role: AccountRole; scope?: Scope; units?: string[]; totp?: boolean }
export interface SignedOn { user: Account; must_change?: boolean; expires: string }
/** How this gateway lets people in. */
export interface Ways { password: boolean; passkey: boolean; oidc?: { id: string; label: string }[] }

/** How it stands with one-time codes: what is to be scanned or typed. */
export interface CodesBegun { secret: string; uri: string; qr?: string[] }
export interface Passkey { id: string; name: string; created: string; used?: string }

/** Those who sit at a desk. The others have apps of their own. */
export const atDesk = (role: AccountRole): boolean => role !== 'technician' && role !== 'unit'

const within = 15_000
const post = <T>(path: string, body?: unknown) => call<T>(path, { method: 'POST', body: body ?? {}, token: '', within })

export const ways = () => call<Ways>('/session/ways', { token: '', within })
export const present = () => call<SignedOn>('/session', { token: '', within })
export const signOnWith = (name: string, password: string, code: string) => post<SignedOn>('/session', { name, password, code: code || undefined })
export const endSession = () => call('/session', { method: 'DELETE', token: '', within: 5_000 })
export const changePassword = (old: string, to: string) => post<unknown>('/session/password', { old, new: to })

export const beginCodes = () => post<CodesBegun>('/session/totp')
export const confirmCodes = (code: string) => post<{ recovery: string[] }>('/session/totp/confirm', { code })
export const endCodes = (password: string) => call('/session/totp', { method: 'DELETE', body: { password }, token: '', within })
export const ownPasskeys = () => call<{ items: Passkey[] }>('/session/passkeys', { token: '', within })
export const endPasskey = (id: string) => call('/session/passkeys/' + encodeURIComponent(id), { method: 'DELETE', token: '', within })

/** passkeyOn signs on with a passkey of this browser or of a security key. */
export async function passkeyOn(): Promise<SignedOn> {
  const asked = await post<Challenge>('/session/passkey/begin')
  const got = (await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked.options.publicKey as PublicKeyCredentialRequestOptionsJSON) })) as PublicKeyCredential
  return post<SignedOn>('/session/passkey/finish', { flow: asked.flow, credential: got.toJSON() })
}

/** addPasskey makes one and registers it under a name. */
export async function addPasskey(name: string): Promise<void> {
  const asked = await post<Challenge>('/session/passkeys/begin')
  const made = (await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked.options.publicKey as PublicKeyCredentialCreationOptionsJSON) })) as PublicKeyCredential
  await post('/session/passkeys/finish', { flow: asked.flow, name, credential: made.toJSON() })
}

/** squares draws the dark squares of a QR code. */
export const squares = (rows: string[]): string => rows.flatMap((r, y) => [...r].flatMap((c, x) => (c === '1' ? [`M${x} ${y}h1v1h-1z`] : []))).join('')

interface Challenge { flow: string; options: { publicKey: unknown } }

/** passkeys reports whether this browser can, here: over HTTPS or on the machine itself. */
export const passkeys = (): boolean => isSecureContext && typeof PublicKeyCredential !== 'undefined' && 'parseRequestOptionsFromJSON' in PublicKeyCredential
