// What is done at a point and with a device beside claim and swap, and what the phone itself has
// to say: a pending visit that passes later, a new version, a token by camera, a full phone.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { film } from './camera.mjs'
import { accessible, byToken, goTo, jpeg, Line, openBrowser, openPhone, queueIs, shoot, signOn, technicianToken, until, World } from './harness.mjs'

let world, browser, line
before(async () => {
  world = await World.open()
  line = await Line.open(world)
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  line?.close()
  await world?.close()
})

const seg = encodeURIComponent
const at = async (device) => (await world.api('/installations?limit=100')).items.filter((i) => i.device === device && !i.to).map((i) => i.point)

async function phoneOf(more = {}) {
  const phone = await openPhone(browser, { url: world.url, ...more })
  await signOn(phone)
  return phone
}

test('A device is moved, retired and brought back, and the registry says so', async () => {
  const phone = await phoneOf()
  const { page } = phone
  await goTo(phone, '#/me')
  await page.locator('[data-testid=pack]').waitFor()
  await goTo(phone, '#/device/' + seg('sn:cover-1'))
  await page.getByRole('link', { name: '移到别的点位' }).click()
  await page.locator('main h1', { hasText: '移到哪个点位' }).waitFor()
  await page.locator('main input[type=search], main #words, main #search').first().fill('走廊')
  await page.locator('main a.item', { hasText: '5号楼 6F 走廊烟感' }).click()
  await page.getByRole('button', { name: '移到这里' }).waitFor()
  await accessible(phone, 'move')
  await shoot(phone, 'device-move')
  await page.getByRole('button', { name: '移到这里' }).click()
  await page.getByText('已完成').waitFor()
  assert.deepEqual(await at('sn:cover-1'), ['p-new'])

  await goTo(phone, '#/device/' + seg('sn:cover-1') + '/retire')
  await page.locator('#words').fill('井盖改造')
  await page.getByRole('button', { name: '退役设备' }).click()
  await page.getByText('已完成').waitFor()
  assert.deepEqual(await at('sn:cover-1'), [])
  await goTo(phone, '#/device/' + seg('sn:cover-1'))
  await page.getByText('已退役').waitFor()
  await page.getByRole('link', { name: '恢复使用' }).click()
  await page.locator('#words').fill('改造完成')
  await accessible(phone, 'revive')
  await shoot(phone, 'device-revive')
  await page.getByRole('button', { name: '恢复使用' }).click()
  await page.getByText('已完成').waitFor()
  assert.equal(['barred', 'retired'].includes((await world.api('/devices/' + seg('sn:cover-1'))).state), false)
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

test('A note and a photo at a point are kept, sent and shown there', async () => {
  const phone = await phoneOf()
  const { page } = phone
  await goTo(phone, '#/me')
  await page.locator('[data-testid=pack]').waitFor()
  await goTo(phone, '#/points/p-door')
  await page.getByText('天山路 18 弄 · 3号楼 · 1F').waitFor() // the building's name, not its id
  await page.getByRole('button', { name: '写备注' }).click()
  await page.locator('#note').fill('门后有消火栓')
  await page.locator('main form').getByRole('button', { name: '保存' }).click()
  await page.getByText('已完成').waitFor()
  await page.locator('main input[type=file]').first().setInputFiles(await jpeg(phone))
  await until('the server has the photo', async () => (await world.api('/points/p-door/photos')).items.length === 1)
  await queueIs(phone, {})
  assert.match(JSON.stringify(await world.api('/points/p-door/log')), /门后有消火栓/)
  await goTo(phone, '#/points')
  await goTo(phone, '#/points/p-door')
  await page.locator('.photos img').waitFor()
  await accessible(phone, 'point with a photo')
  await shoot(phone, 'point-photo')
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

test('A pending visit passes by the frame that comes later, and the phone shows it', async () => {
  const phone = await phoneOf()
  const { page } = phone
  await goTo(phone, `#/visit/new?device=${seg('sn:smoke-1')}&point=p-smoke`)
  await page.locator('#step-title').waitFor()
  const visit = new URL(page.url()).hash.split('/').at(-1)
  const there = await until('the server has the visit', () => world.api('/visits/' + visit))
  // What a person may say is said; the device has not spoken yet.
  const by = { name: '王工', role: 'technician' }
  const sent = await fetch(`${world.url}/api/v1/points/p-smoke/photos?shows=near`, { method: 'POST', headers: { Authorization: 'Bearer ' + technicianToken, 'Content-Type': 'image/jpeg' }, body: (await jpeg(phone)).buffer })
  const photo = (await sent.json()).id
  for (const s of there.steps.filter((x) => !['first_frame', 'battery'].includes(x.id))) {
    const more = s.needs === 'photo' || s.id === 'photo' ? { result: 'passed', photo } : ['position', 'tamper'].includes(s.id) ? { result: 'skipped', note: '此处不适用' } : { result: 'passed' }
    await world.api(`/visits/${visit}/steps`, { method: 'POST', token: technicianToken, key: 'step-' + s.id, body: { step: s.id, ...more, at: new Date().toISOString(), by } })
  }
  await world.api(`/visits/${visit}/finish`, { method: 'POST', token: technicianToken, key: 'finish', body: { verdict: 'pass', at: new Date().toISOString(), by } })
  await page.locator('.word', { hasText: /^待定$/ }).waitFor().catch(async (err) => {
    const v = await world.api('/visits/' + visit)
    throw new Error(`${err.message}: the server says ${v.state}: ${await page.locator('main').innerText()}`)
  })
  await world.say('sn:smoke-1', { test: true, 'smoke.alarm': false, 'battery.level': 90, seq: 11 })
  await page.locator('.word', { hasText: /^通过$/ }).waitFor().catch(async (err) => {
    const v = await world.api('/visits/' + visit)
    throw new Error(`${err.message}: the server says ${v.state}: ${JSON.stringify(v.steps.map((x) => [x.id, x.state, x.detail]))}`)
  })
  assert.equal((await world.api('/visits/' + visit)).state, 'passed')
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

test('A nearly full phone says so before pictures are lost', async () => {
  const phone = await openPhone(browser, { url: world.url })
  const { page } = phone
  await page.addInitScript(() => {
    navigator.storage.estimate = async () => ({ usage: 90 << 20, quota: 100 << 20 })
  })
  await page.reload()
  await signOn(phone)
  assert.equal(await page.getByText('手机存储空间不足').count(), 0)
  await goTo(phone, '#/points/p-smoke')
  await page.getByRole('button', { name: '写备注' }).click()
  await page.locator('#note').fill('满')
  await page.locator('main form').getByRole('button', { name: '保存' }).click()
  await page.getByText('手机存储空间不足').waitFor()
  await accessible(phone, 'full')
  await shoot(phone, 'full')
  await phone.context.close()
})

test('A token is scanned with the camera, and signs on', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'gridgate-film-'))
  const seeing = await openBrowser({ video: await film(join(dir, 'token.y4m'), 'gridgate:' + technicianToken) })
  const phone = await openPhone(seeing, { url: world.url, permissions: ['camera'] })
  const { page } = phone
  try {
    await byToken(phone)
    await page.getByRole('button', { name: '扫描令牌' }).click()
    await until('the token is read', async () => (await page.locator('#token').inputValue()) === technicianToken)
    await page.locator('#name').fill('王工')
    await page.locator('form button.primary').click()
    await page.locator('nav a').first().waitFor()
    assert.deepEqual(phone.errors, [])
  } finally {
    await seeing.close()
    rmSync(dir, { recursive: true, force: true })
  }
})

test('A new version waits until it is taken, and the queue stays', async () => {
  let version = ''
  // The line gives the service worker of another build: the same files under another version.
  line.change = (req, body) => {
    const build = /gridgate-([0-9a-f]{12})/.exec(body)?.[1] ?? /["'`]([0-9a-f]{12})["'`]/.exec(body)?.[1]
    return req.url === '/m/sw.js' && version ? body.replaceAll(build, version) : body
  }
  const phone = await openPhone(browser, { url: line.url })
  const { page } = phone
  await signOn(phone)
  await goTo(phone, '#/points/p-smoke')
  await phone.context.route('**/api/v1/points/p-smoke/notes', (r) => r.abort())
  await page.getByRole('button', { name: '写备注' }).click()
  await page.locator('#note').fill('等新版本')
  await page.locator('main form').getByRole('button', { name: '保存' }).click()
  await queueIs(phone, { waiting: 1 })
  version = '0123456789ab'
  await page.evaluate(async () => (await navigator.serviceWorker.getRegistration('/m/')).update())
  await page.getByText('有新版本').waitFor()
  await accessible(phone, 'update')
  await shoot(phone, 'update')
  await page.reload()
  await page.getByText('有新版本').waitFor() // not taken by a reload alone
  await page.getByRole('button', { name: '更新', exact: true }).click()
  const runs = () => phone.page.evaluate(async (v) => (await caches.keys()).join() === 'gridgate-m-' + v, version)
  // At once or, where the browser was just starting the older worker, when that has been idle for half a minute.
  await until('the newer one runs', runs, 120_000)
  await phone.page.getByText('有新版本').waitFor({ state: 'detached' })
  await queueIs(phone, { waiting: 1 })
  await phone.context.unroute('**/api/v1/points/p-smoke/notes')
  await phone.page.reload()
  await queueIs(phone, {})
  assert.match(JSON.stringify(await world.api('/points/p-smoke/log')), /等新版本/)
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})
