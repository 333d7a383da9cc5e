import 'fake-indexeddb/auto'
import { beforeEach, expect, test, vi } from 'vitest'
import { changeHands, db, eraseAll, setSetting, setting } from '../db'
import { now, ofOwner, ref, refsOf, type Act } from './act'
import { drain } from './sender'

let n = 0

async function add(a: Partial<Act> & { path: string }): Promise<Act> {
  const act: Act = {
    id: (++n).toString(16).padStart(32, '0'), n, key: 'key-' + n, kind: 'note', title: { zh: '', en: '' }, method: 'POST', at: new Date().toISOString(),
    state: 'waiting', tries: 0, ...a, after: [...(a.after ?? []), ...refsOf([a.path, a.body])],
  }
  await (await db()).put('acts', act)
  return act
}

const read = async (a: Act) => (await db()).get('acts', a.id)

interface Asked {
  path: string
  key: string
  body: string
}

/** A server that does each key once, and answers as it is told. */
function server(answer: (path: string, times: number) => Response | 'lost') {
  const asked: Asked[] = []
  const done = new Map<string, number>()
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const key = (init.headers as Record<string, string>)['Idempotency-Key'] ?? ''
    asked.push({ path: url.replace('/api/v1', ''), key, body: String(init.body ?? '') })
    const times = asked.filter((x) => x.key === key).length
    const res = answer(url.replace('/api/v1', ''), times)
    if (res === 'lost' || res.ok) done.set(key, (done.get(key) ?? 0) + 1)
    if (res === 'lost') throw new TypeError('Failed to fetch')
    return res
  })
  return { asked, done }
}

const ok = (body: unknown) => new Response(JSON.stringify(body), { status: 200 })
const refusal = (status: number, code: string) => new Response(JSON.stringify({ type: 'urn:gridgate:problem:' + code, detail: 'it is so' }), { status })

beforeEach(async () => {
  vi.stubGlobal('navigator', {})
  await eraseAll()
})

test('Acts go out in order, each once', async () => {
  const { asked } = server(() => ok({}))
  await add({ path: '/a' })
  await add({ path: '/b' })
  expect(await drain(() => {})).toBe('idle')
  expect(asked.map((x) => x.path)).toEqual(['/a', '/b'])
  await drain(() => {})
  expect(asked.length).toBe(2)
})

test('An answer that is lost is asked for again with the same key', async () => {
  const { asked } = server((_, times) => (times === 1 ? 'lost' : ok({ id: 'x' })))
  const a = await add({ path: '/a' })
  expect(await drain(() => {})).toBe('unreachable')
  expect((await read(a))!.state).toBe('waiting')
  expect(await drain(() => {})).toBe('idle')
  expect(asked.map((x) => x.key)).toEqual([a.key, a.key])
  expect((await read(a))!.state).toBe('done')
})

test('What was being sent when the phone died is sent again with the same key', async () => {
  const { asked } = server(() => ok({}))
  const a = await add({ path: '/a', state: 'sending' })
  await drain(() => {})
  expect(asked[0]!.key).toBe(a.key)
})

test('An act gets the answer of the one that it needs, and waits for it', async () => {
  const { asked } = server((path) => (path === '/points' ? ok({ id: 'p-7' }) : ok({})))
  const point = await add({ path: '/points' })
  await add({ path: `/points/${ref(point)}/notes`, body: { point: ref(point), text: 'x' } })
  await drain(() => {})
  expect(asked[1]).toMatchObject({ path: '/points/p-7/notes', body: '{"point":"p-7","text":"x"}' })
})

test('The phone says what its clock is when it sends', async () => {
  const { asked } = server(() => ok({}))
  await add({ path: '/visits', body: { sent: now } })
  const before = new Date().toISOString()
  await drain(() => {})
  expect(JSON.parse(asked[0]!.body).sent >= before).toBe(true)
})

test('What needs a refused act stays, and what does not goes on', async () => {
  const { asked } = server((path) => (path === '/points' ? refusal(409, 'conflict') : ok({})))
  const point = await add({ path: '/points' })
  const note = await add({ path: `/points/${ref(point)}/notes` })
  await add({ path: '/other' })
  expect(await drain(() => {})).toBe('idle')
  expect(asked.map((x) => x.path)).toEqual(['/points', '/other'])
  expect((await read(point))!.problem).toEqual({ status: 409, code: 'conflict', detail: 'it is so' })
  expect((await read(note))!.state).toBe('waiting')
})

/** signs puts a session on the phone, as a sign-on does. */
const signs = async (unit: string) =>
  (await db()).put('session', { token: 'token-' + unit, name: '王工', role: 'technician', unit: { id: unit, name: unit, kind: 'maintenance' }, signed: '' }, 'me')

test('An act never goes out under another unit than its own, and goes when that unit signs on again', async () => {
  const { asked } = server(() => ok({}))
  const tokens: string[] = []
  const send = globalThis.fetch
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    tokens.push((init.headers as Record<string, string>).Authorization ?? '')
    return send(url, init)
  })
  const a = await add({ path: '/a', unit: { id: 'lift-1', name: '安捷' } })
  const b = await add({ path: '/b', unit: { id: 'fire-1', name: '仙霞' } })
  const admins = await add({ path: '/c', unit: { id: '', name: '' } })
  await signs('fire-1')
  expect(await drain(() => {})).toBe('idle')
  expect(asked.map((x) => x.path)).toEqual(['/b'])
  expect((await read(a))!.state).toBe('waiting')
  await signs('lift-1')
  await drain(() => {})
  expect(asked.map((x) => [x.path, x.key])).toEqual([['/b', b.key], ['/a', a.key]])
  expect(tokens).toEqual(['Bearer token-fire-1', 'Bearer token-lift-1'])
  expect((await read(admins))!.state).toBe('waiting')
})

test('An act of one person never goes out as another of the same unit, and says whose it is', async () => {
  server(() => ok({}))
  const sent: (string | undefined)[][] = []
  const send = globalThis.fetch
  vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
    const h = init.headers as Record<string, string>
    sent.push([url.replace('/api/v1', ''), h['Gridgate-Account'], h.Authorization])
    return send(url, init)
  })
  const enters = async (account: string) => (await db()).put('session', { token: '', account: { id: account, name: account }, name: account, role: 'technician', unit: { id: 'lift-1', name: '', kind: 'maintenance' }, signed: '' }, 'me')
  await add({ path: '/wang', unit: { id: 'lift-1', name: '', account: 'u_wang', person: '王工' } })
  await add({ path: '/zhao', unit: { id: 'lift-1', name: '', account: 'u_zhao', person: '赵工' } })
  await add({ path: '/crew', unit: { id: 'lift-1', name: '' } })
  await enters('u_zhao')
  expect(await drain(() => {})).toBe('idle')
  await signs('lift-1')
  await drain(() => {})
  await enters('u_wang')
  await drain(() => {})
  expect(sent).toEqual([['/zhao', 'u_zhao', undefined], ['/crew', undefined, 'Bearer token-lift-1'], ['/wang', 'u_wang', undefined]])
})

test('A password that must be changed first keeps everything', async () => {
  server(() => refusal(403, 'change_wanted'))
  const a = await add({ path: '/a' })
  expect(await drain(() => {})).toBe('unauthorized')
  expect((await read(a))!.state).toBe('waiting')
})

test('Who signs off loses the own work alone: what others have not sent stays, with its pictures', async () => {
  const photos = async () => (await (await db()).getAll('photos')).map((p) => p.id)
  for (const id of ['mine', 'theirs']) await (await db()).put('photos', { id, blob: new Blob([id]), made: '' })
  await add({ path: '/mine', photo: 'mine', unit: { id: 'lift-1', name: '', account: 'u_zhao' } })
  const theirs = await add({ path: '/theirs', photo: 'theirs', unit: { id: 'lift-1', name: '', account: 'u_wang' } })
  await eraseAll((a) => !ofOwner(a, { id: 'lift-1', name: '', account: 'u_zhao' }))
  expect((await (await db()).getAll('acts')).map((a) => a.id)).toEqual([theirs.id])
  expect(await photos()).toEqual(['theirs'])
})

test('A sign-on in the midst of sending keeps what is left for its own unit', async () => {
  const asked: string[] = []
  vi.stubGlobal('fetch', async (url: string) => {
    asked.push(url)
    await signs('fire-1')
    return ok({})
  })
  await signs('lift-1')
  await add({ path: '/a', unit: { id: 'lift-1', name: '' } })
  const left = await add({ path: '/b', unit: { id: 'lift-1', name: '' } })
  await drain(() => {})
  expect(asked).toEqual(['/api/v1/a'])
  expect((await read(left))!.state).toBe('waiting')
})

test('Another unit gets nothing that the one before could see, but the queue stays', async () => {
  await signs('lift-1')
  const a = await add({ path: '/a', unit: { id: 'lift-1', name: '' } })
  await (await db()).put('points', { id: 'p', name: 'x', kind: 'smoke' })
  await (await db()).put('kept', { path: '/tasks', at: '', etag: '', body: {} })
  await changeHands()
  const d = await db()
  expect([await d.count('points'), await d.count('kept'), await d.count('session')]).toEqual([0, 0, 0])
  expect(await read(a)).toBeDefined()
})

test('A token that is not taken keeps everything', async () => {
  server(() => refusal(401, 'unauthorized'))
  const a = await add({ path: '/a' })
  expect(await drain(() => {})).toBe('unauthorized')
  expect((await read(a))!.state).toBe('waiting')
})

test('A server that is not able now is asked later, one that fails at an act again and again lets others pass', async () => {
  server((path) => (path === '/bad' ? refusal(500, 'internal') : ok({})))
  const bad = await add({ path: '/bad' })
  const good = await add({ path: '/good' })
  for (let i = 0; i < 4; i++) expect(await drain(() => {})).toBe('unreachable')
  expect(await drain(() => {})).toBe('idle')
  expect((await read(bad))!.state).toBe('refused')
  expect((await read(good))!.state).toBe('done')
})

test('What a person drops while it is being sent does not come back', async () => {
  const a = await add({ path: '/a' })
  vi.stubGlobal('fetch', async () => {
    await (await db()).delete('acts', a.id)
    return ok({})
  })
  await drain(() => {})
  expect(await read(a)).toBeUndefined()
})

test('Sign-out erases all that was theirs', async () => {
  await add({ path: '/a' })
  await setSetting('pack', { at: 'x', count: 1 })
  await eraseAll()
  expect(await (await db()).count('acts')).toBe(0)
  expect(await setting('pack')).toBeUndefined()
})
