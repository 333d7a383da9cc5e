// From the box to a trusted point, in a real browser with a real gateway and a device that
// really publishes: with a network, without one, and a swap.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { film } from './camera.mjs'
import { accessible, goTo, jpeg, Line, openBrowser, openPhone, queueIs, shoot, signOn, until, World } from './harness.mjs'

const eui = '24e124535b0000aa'
const device = 'eui:' + eui
const words = {
  zh: { camera: '打开相机', claim: '认领到点位', near: '查找我附近的点位', claimed: '认领并开始验收', yes: '是，我在测试', position: '取当前位置', skip: '跳过', verdict: '去看结论', sign: '签名并提交', did: '我做好了', save: '保存点位', swap: '确认换设备', scanNew: '扫新设备', next: '下一步', other: '其他型号' },
}
const w = words.zh

let dir, browser, blind // its camera shows nothing
before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'gridgate-film-'))
  blind = await openBrowser()
  browser = await openBrowser({ video: await film(join(dir, 'label.y4m'), `LW:D0:70B3D57ED0000010:${eui.toUpperCase()}:000AF8BE:SX1`) })
})
after(async () => {
  await browser?.close()
  await blind?.close()
  rmSync(dir, { recursive: true, force: true })
})

/** uplink is a frame as a LoRaWAN network server hands it on, with the signal it was heard with. */
async function uplink(world, id, reading, { rssi = -87, snr = 7.2 } = {}) {
  uplink.count = (uplink.count ?? 0) + 1
  const seq = uplink.count
  const data = Buffer.from(JSON.stringify({ seq, ...reading })).toString('base64')
  const message = { deviceInfo: { devEui: id }, fCnt: seq, fPort: 1, data, rxInfo: [{ gatewayId: '0016c001f0000001', rssi, snr }] }
  await promisify(execFile)('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(world.mqtt), '-q', '1', '-t', `application/1/device/${id}/event/up`, '-m', JSON.stringify(message)])
}

/** A phone that asks nobody but us: any request to another origin fails the test. */
async function phoneOf(world, more = {}) {
  const url = more.url ?? world.url
  const phone = await openPhone(more.browser ?? browser, { permissions: ['camera', 'geolocation'], ...more, url })
  await phone.context.setGeolocation({ longitude: 121.4, latitude: 31.21, accuracy: 8 })
  phone.page.on('request', (r) => {
    if (!r.url().startsWith(url) && !/^(blob|data):/.test(r.url())) phone.errors.push('asked ' + r.url())
  })
  await signOn(phone)
  return phone
}

const press = (phone, name) => phone.page.getByRole('button', { name }).or(phone.page.getByRole('link', { name })).first().click()
const step = (phone, title) => phone.page.locator('#step-title', { hasText: title }).waitFor()
const heading = (phone, text) => phone.page.locator('main h1', { hasText: text }).waitFor()

/** skip leaves a step out, with a reason. */
async function skip(phone) {
  await press(phone, w.skip)
  await press(phone, '此处不适用')
  await phone.page.getByRole('button', { name: '保存' }).click()
}

async function takePhoto(phone) {
  await phone.page.locator('main input[type=file]').first().setInputFiles(await jpeg(phone))
}

test('A label before the camera becomes a trusted point in one run', async () => {
  const world = await World.open()
  const phone = await phoneOf(world)
  const { page } = phone
  try {
    await uplink(world, eui, { 'smoke.alarm': false, 'battery.level': 97 })
    await until('the device is discovered', async () => (await world.api('/discovered')).items.some((d) => d.identity === device))

    await goTo(phone, '#/scan')
    await accessible(phone, 'scan')
    const open = page.getByRole('button', { name: w.camera })
    if (await open.isVisible()) await open.click({ timeout: 2000 }).catch(() => {}) // by itself it may have begun, and seen the label
    await page.waitForURL((u) => u.hash === '#/device/' + encodeURIComponent(device))
    await page.getByText('已收到信号，未登记').waitFor()
    await accessible(phone, 'discovered')
    await shoot(phone, 'run-1-discovered')
    await press(phone, w.claim)
    await press(phone, w.near)
    await page.locator('main a.item', { hasText: '5号楼 6F 走廊烟感' }).waitFor()
    await accessible(phone, 'near')
    await page.locator('main a.item', { hasText: '5号楼 6F 走廊烟感' }).click()

    await heading(phone, '认领设备')
    await choose(phone, 'gridgate/json')
    await accessible(phone, 'claim')
    await press(phone, w.claimed)
    await heading(phone, '验收')
    await step(phone, /收到首帧|信号|电池/)
    await accessible(phone, 'visit')
    const visit = new URL(page.url()).hash.split('/').at(-1)
    await until('the server has the visit', () => world.api('/visits/' + visit))

    await uplink(world, eui, { 'smoke.alarm': false, 'battery.level': 97 })
    await page.getByText('-87 dBm').first().waitFor()
    await step(phone, '按测试键')
    await shoot(phone, 'run-2-test-button')
    await uplink(world, eui, { 'smoke.alarm': true })
    const yes = page.getByRole('button', { name: w.yes })
    await yes.waitFor()
    await accessible(phone, 'is it you')
    await shoot(phone, 'run-3-is-it-you')
    await yes.click()
    await step(phone, '防拆')
    await uplink(world, eui, { 'smoke.alarm': false })
    await skip(phone)
    await step(phone, '位置')
    await press(phone, w.position)
    await step(phone, '照片')
    await takePhoto(phone)
    await press(phone, w.verdict)
    await accessible(phone, 'verdict to sign')
    await page.locator('#name').fill('王工')
    await press(phone, w.sign)
    await page.locator('.word', { hasText: /^通过$/ }).waitFor().catch(async (err) => {
      const v = await world.api('/visits/' + visit)
      throw new Error(`${err.message}: the server says ${v.state}: ${JSON.stringify([v.reasons, v.steps.map((x) => [x.id, x.state, x.detail])])}`)
    })
    await queueIs(phone, {})
    await accessible(phone, 'passed')
    await shoot(phone, 'run-4-passed')

    const there = await world.api('/visits/' + visit)
    assert.equal(there.state, 'passed')
    assert.equal(there.signed.by.name.includes('王工'), true)
    const at = (await world.api('/devices/' + encodeURIComponent(device))).installations
    assert.deepEqual(at.map((i) => [i.point, Boolean(i.to)]), [['p-new', false]])
    const pdf = await fetch(`${world.url}/api/v1/visits/${visit}/record.pdf?lang=zh`, { headers: { Authorization: 'Bearer ' + world.admin } })
    assert.equal(Buffer.from(await pdf.arrayBuffer()).subarray(0, 5).toString(), '%PDF-')
    assert.deepEqual(phone.errors, [])
  } finally {
    await phone.context.close()
    await world.close()
  }
})

/** openActs are the acts that wait on the phone, as they are on its disk. */
const openActs = (page) =>
  page.evaluate(() => new Promise((say) => {
    const ask = indexedDB.open('gridgate-field')
    ask.onsuccess = () => {
      const got = ask.result.transaction('acts').objectStore('acts').getAll()
      got.onsuccess = () => (ask.result.close(), say(got.result.filter((a) => a.state !== 'done')))
    }
  }))

/** choose takes a profile, from the guesses or from all. */
async function choose(phone, profile) {
  const { page } = phone
  const radio = page.locator(`input[name=profile][value="${profile}"]`)
  await page.locator('input[name=profile], #profile-words').first().waitFor()
  if (!(await radio.count())) {
    const all = page.locator('details', { hasText: w.other })
    if (!(await all.evaluate((d) => d.open))) await all.locator('summary').click()
    await page.locator('#profile-words').fill(profile)
  }
  await radio.check()
}

test('The same without a network, the server killed: pending, never pass; then sent once, each exactly once', async () => {
  const world = await World.open()
  const line = await Line.open(world)
  const phone = await phoneOf(world, { url: line.url, browser: blind, permissions: ['geolocation'] })
  const { page } = phone
  try {
    await goTo(phone, '#/me')
    await page.locator('[data-testid=pack]').waitFor()
    await until('plans and profiles are kept', () => page.evaluate(() => new Promise((say) => {
      const ask = indexedDB.open('gridgate-field')
      ask.onsuccess = () => {
        const got = ask.result.transaction('kept').objectStore('kept').getAllKeys()
        got.onsuccess = () => (ask.result.close(), say(['/commissioning', '/profiles'].every((p) => got.result.includes(p))))
      }
    })))
    await world.kill()
    await page.reload()
    await goTo(phone, '#/scan')
    await page.locator('header .offline').waitFor()
    await page.locator('#typed').fill(eui.toUpperCase().replace(/(..)(?=.)/g, '$1:'))
    await page.getByText('EUI，16 位，齐了').waitFor()
    await press(phone, w.next)
    await heading(phone, '设备')
    await shoot(phone, 'offline-1-device')
    await accessible(phone, 'device offline')
    await press(phone, w.claim)
    await page.getByRole('link', { name: '新建点位' }).click()
    await heading(phone, '新建点位')
    await page.locator('#name').fill('地库 B2 水泵房烟感')
    await page.locator('#building').fill('b-3')
    await press(phone, w.position)
    await page.getByText('坐标系 WGS84').waitFor()
    await page.getByText('121.400000').waitFor()
    await accessible(phone, 'new point offline')
    await shoot(phone, 'offline-2-new-point')
    await press(phone, w.save)
    await heading(phone, '认领设备')
    await choose(phone, 'gridgate/json')
    await press(phone, w.claimed)
    await step(phone, '按测试键')
    await accessible(phone, 'visit offline')
    await shoot(phone, 'offline-3-test-button')
    const visit = new URL(page.url()).hash.split('/').at(-1)
    await press(phone, w.did)
    await step(phone, '防拆')
    await skip(phone)
    await step(phone, '位置')
    await press(phone, w.position)
    await step(phone, '照片')
    await takePhoto(phone)
    await press(phone, w.verdict)
    await page.locator('#name').fill('王工')
    await press(phone, w.sign)
    await page.locator('.word', { hasText: /^待定$/ }).waitFor()
    assert.equal(await page.locator('.word', { hasText: /^通过$/ }).count(), 0)
    await accessible(phone, 'pending')
    await shoot(phone, 'offline-4-pending')
    await page.reload()
    await page.locator('.word', { hasText: /^待定$/ }).waitFor()
    const point = (await openActs(page)).find((a) => a.about?.visit === visit).about.point

    // The line loses the answer of the first of each: the phone asks again with the same key.
    const lost = new Set()
    line.lose = (req) => {
      const what = req.method === 'POST' && /\/(claim|visits|finish)(\?|$)/.exec(req.url)?.[1]
      if (!what || lost.has(what)) return false
      lost.add(what)
      return true
    }
    await world.start()
    await queueIs(phone, {}).catch(async (err) => {
      throw new Error(err.message + JSON.stringify((await openActs(page)).map((a) => [a.kind, a.state, a.problem?.detail, a.error])))
    })
    assert.equal(lost.size, 3, 'answers were lost of ' + [...lost])

    const named = (await world.api('/points?limit=100')).items.filter((p) => p.name === '地库 B2 水泵房烟感')
    assert.deepEqual(named.map((p) => p.id), [point])
    assert.deepEqual((await world.api(`/installations?limit=100`)).items.filter((i) => i.device === device).map((i) => i.point), [point])
    assert.deepEqual((await world.api('/visits?limit=100')).items.map((v) => v.id), [visit])
    assert.equal((await world.api(`/points/${point}/photos`)).items.length, 1)
    const there = await world.api('/visits/' + visit)
    assert.equal(there.state, 'pending')
    assert.deepEqual(there.words.map((x) => x.step).sort(), ['photo', 'position', 'tamper', 'test'])
    await page.locator('.word', { hasText: /^待定$/ }).waitFor()
    await accessible(phone, 'pending at the server')
    assert.deepEqual(phone.errors, [])
  } finally {
    await phone.context.close()
    line.close()
    await world.close()
  }
})

test('A device is swapped: the ticket and the history stay, the old one is barred', async () => {
  const world = await World.open()
  const phone = await phoneOf(world)
  const { page } = phone
  try {
    await world.say('sn:smoke-1', { tamper: true, 'battery.level': 80, seq: 1 })
    const ticket = await until('the ticket is there', async () => (await world.api('/tickets?type=device.tamper')).items[0])
    await goTo(phone, '#/points/p-smoke')
    await page.getByRole('link', { name: '换设备' }).click()
    await press(phone, w.scanNew)
    await heading(phone, '扫新设备')
    const open = page.getByRole('button', { name: w.camera })
    if (await open.isVisible()) await open.click({ timeout: 2000 }).catch(() => {}) // by itself it may have begun, and seen the label
    await heading(phone, '换设备')
    await page.getByText(device).waitFor()
    await choose(phone, 'gridgate/json')
    await page.getByText('电池耗尽').click()
    await accessible(phone, 'swap')
    await shoot(phone, 'swap-1-confirm')
    await press(phone, w.swap)
    await heading(phone, '验收')
    await queueIs(phone, {})

    assert.equal((await world.api('/devices/sn%3Asmoke-1')).state, 'barred')
    const now = (await world.api('/installations?limit=100')).items.filter((i) => i.point === 'p-smoke' && !i.to)
    assert.deepEqual(now.map((i) => i.device), [device])
    // A new device has no tamper any more, so the check of the ticket may begin; it is not over.
    assert.equal(['closed', 'cancelled', 'merged'].includes((await world.api('/tickets/' + ticket.id)).state), false)
    await world.say('sn:smoke-1', { 'smoke.alarm': false, seq: 2 })
    await until('its next frame is refused', async () => (await world.api('/quarantine')).items.some((q) => JSON.stringify(q).includes('sn:smoke-1')))
    await goTo(phone, '#/device/' + encodeURIComponent('sn:smoke-1'))
    await page.getByText('已禁用').waitFor()
    await accessible(phone, 'barred')
    await shoot(phone, 'swap-2-barred')
    assert.deepEqual(phone.errors, [])
  } finally {
    await phone.context.close()
    await world.close()
  }
})

for (const [lang, theme, width, height] of [
  ['zh', 'light', 360, 740], ['en', 'light', 360, 740], ['zh', 'dark', 412, 915], ['en', 'dark', 412, 915],
]) {
  test(`Every screen of the field is accessible and fits: ${lang}, ${theme}, ${width}x${height}`, async () => {
    const world = await World.open()
    const phone = await phoneOf(world, { lang, theme, width, height, browser: blind, permissions: ['geolocation'] })
    const { page } = phone
    const look = async (name, hash, ready) => {
      await goTo(phone, hash)
      if (ready) await ready()
      await accessible(phone, name)
      await shoot(phone, name)
    }
    try {
      await uplink(world, eui, { 'smoke.alarm': false, 'battery.level': 97 })
      await world.say('sn:door-1', { 'door.open': false, 'battery.level': 88, seq: 1 })
      await until('the device is discovered', async () => (await world.api('/discovered')).items.some((d) => d.identity === device))
      const seg = encodeURIComponent
      const tag = () => page.locator('main .tag').first().waitFor()
      await look('device-discovered', '#/device/' + seg(device), tag)
      await look('device-unknown', '#/device/' + seg('imei:490154203237518'), tag)
      await look('device-installed', '#/device/' + seg('sn:door-1'), tag)
      for (const act of ['bar', 'retire', 'note']) await look('device-' + act, `#/device/${seg('sn:door-1')}/${act}`)
      await look('points-near', '#/points', async () => {
        await page.locator('main button.primary').click()
        await page.locator('main a.item').first().waitFor()
      })
      await look('point', '#/points/p-door', () => page.locator('main dl').waitFor())
      await look('point-empty', '#/points/p-cover', () => page.locator('main dl').waitFor())
      await look('point-new', '#/points/new', async () => {
        await page.locator('#locate').click()
        await page.locator('main .mono').waitFor()
      })
      await look('claim', `#/claim?device=${seg(device)}&point=p-new`, () => page.locator('input[name=profile]').first().waitFor())
      await look('swap', `#/swap?old=${seg('sn:door-1')}&point=p-door&with=${seg(device)}`, () => page.locator('input[name=profile]').first().waitFor())
      await look('code-lost', '#/code')
      await goTo(phone, `#/visit/new?device=${seg('sn:door-1')}&point=p-door`)
      await page.locator('#step-title').waitFor()
      const visit = new URL(page.url()).hash.split('/').at(-1)
      await queueIs(phone, {})
      await look('visit-door', '#/visit/' + visit, () => page.locator('#step-title').waitFor())
      await look('visit-fail', `#/visit/${visit}/fail`)
      await page.locator('input[value=coverage]').check()
      await page.locator('main form button[type=submit]').click()
      await page.locator('.face.bad').waitFor()
      await queueIs(phone, {})
      await accessible(phone, 'visit-failed')
      await shoot(phone, 'visit-failed')
      await until('it is known that there is no coverage', async () => (await world.api('/visits/' + visit)).needs_gateway)
      assert.deepEqual(phone.errors, [])
    } finally {
      await phone.context.close()
      await world.close()
    }
  })
}
