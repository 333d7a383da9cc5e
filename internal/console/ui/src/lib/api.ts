import { session } from './db'

/** A refusal in the server's words (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string, // invalid, not_found, conflict, unauthorized, forbidden, unavailable, internal
    readonly detail: string,
    readonly wait?: number, // seconds, where the server says when to ask again
  ) {
    super(detail)
  }
}

/** No answer came: whether the server has done it is not known. */
export class Unreachable extends Error {}

/** Answers after which the same request may be sent again: the server, or what stands before it, is not able now. */
export function passing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500
}

export interface Ask {
  method?: string
  body?: unknown // JSON, or a Blob as it is
  key?: string // Idempotency-Key
  token?: string // before there is a session; '' : the cookie alone
  as?: Caller // else who is signed on, on this phone
  headers?: Record<string, string>
  signal?: AbortSignal
  within?: number // ms
}

/**
 * Caller is for whom something is asked: whose token goes with it, or whose cookie. Which account
 * that is goes along: one browser has one cookie, and it may be another person's by now.
 */
export interface Caller {
  token: string
  account?: { id: string }
}

const answerWithin = 20_000

type Listener = (answered: boolean, status: number, by: Caller | undefined) => void
const listeners: Listener[] = []

/** onAnswer tells after each request whether anybody answered, and what to whom. */
export function onAnswer(fn: Listener): void {
  listeners.push(fn)
}

function answered(yes: boolean, status = 0, by?: Caller): void {
  for (const fn of listeners) fn(yes, status, by)
}

/** shows puts into a request's headers who asks. */
function shows(headers: Record<string, string>, by: Caller | undefined): void {
  if (by?.token) headers.Authorization = 'Bearer ' + by.token
  else if (by?.account) headers['Gridgate-Account'] = by.account.id
}

/** between reports an answer that is not the server's: what stands before it says that it is not there. */
const between = (status: number) => status === 502 || status === 504

/** ask sends one request and gives the answer, whatever its status. */
export async function ask(path: string, a: Ask = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...a.headers }
  const by: Caller | undefined = a.token !== undefined ? { token: a.token } : (a.as ?? (await session()))
  shows(headers, by)
  if (a.key) headers['Idempotency-Key'] = a.key
  let body: BodyInit | undefined
  if (a.body instanceof Blob) {
    body = a.body
    headers['Content-Type'] ??= a.body.type || 'application/octet-stream'
  } else if (a.body !== undefined) {
    body = JSON.stringify(a.body)
    headers['Content-Type'] = 'application/json'
  }
  const limit = AbortSignal.timeout(a.within ?? answerWithin)
  const signal = a.signal ? AbortSignal.any([a.signal, limit]) : limit
  try {
    const res = await fetch('/api/v1' + path, { method: a.method ?? 'GET', headers, body, signal, cache: 'no-store' })
    answered(!between(res.status), res.status, by)
    return res
  } catch (err) {
    if (a.signal?.aborted) throw err
    answered(false)
    throw new Unreachable(String(err))
  }
}

/** problemOf reads what a refusal says; a proxy's page is no problem document. */
export async function problemOf(res: Response): Promise<Problem> {
  try {
    const p = (await res.json()) as { type?: string; detail?: string; title?: string; errors?: { location?: string; message?: string }[] }
    const code = p.type?.replace('urn:gridgate:problem:', '') ?? ''
    const more = (p.errors ?? []).map((e) => `${e.location ?? ''}: ${e.message ?? ''}`).join('; ')
    return new Problem(res.status, code, [p.detail ?? p.title, more].filter(Boolean).join(': '), Number(res.headers.get('Retry-After')) || undefined)
  } catch {
    return new Problem(res.status, 'other', `${res.status} ${res.statusText}`)
  }
}

/** call is ask for those who want the answer's JSON, or a Problem. */
export async function call<T>(path: string, a: Ask = {}): Promise<T> {
  const res = await ask(path, a)
  if (!res.ok) throw await problemOf(res)
  try {
    return (res.status === 204 ? undefined : await res.json()) as T
  } catch (err) {
    throw new Unreachable(String(err)) // the answer broke off
  }
}

export const get = <T>(path: string, a: Ask = {}) => call<T>(path, a)

/** A message of a server-sent event stream. */
export interface Message {
  id: string
  event: string
  data: string
}

/**
 * stream reads server-sent events with who asks in the header, which EventSource cannot.
 * It ends when the line does; the caller begins again.
 */
export async function stream(path: string, on: (m: Message) => void, signal: AbortSignal, lastId = '', opened: () => void = () => {}): Promise<void> {
  const headers: Record<string, string> = { Accept: 'text/event-stream' }
  shows(headers, await session())
  if (lastId) headers['Last-Event-ID'] = lastId
  let res: Response
  try {
    res = await fetch('/api/v1' + path, { headers, signal, cache: 'no-store' })
  } catch (err) {
    if (signal.aborted) throw err
    answered(false)
    throw new Unreachable(String(err))
  }
  if (!res.ok || !res.body) throw await problemOf(res)
  opened()
  const feed = parser(on)
  const reader = res.body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    feed(value)
  }
}

/** parser cuts a stream's text into messages, whatever pieces it comes in. */
export function parser(on: (m: Message) => void): (text: string) => void {
  let rest = ''
  let m: Message = { id: '', event: '', data: '' }
  return (text) => {
    const lines = (rest + text).split(/\r?\n/)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (m.data) on({ ...m, event: m.event || 'message', data: m.data.slice(0, -1) })
        m = { id: '', event: '', data: '' }
        continue
      }
      const at = line.indexOf(':')
      const name = at < 0 ? line : line.slice(0, at)
      const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '')
      if (name === 'data') m.data += value + '\n'
      else if (name === 'id') m.id = value
      else if (name === 'event') m.event = value
    }
  }
}
