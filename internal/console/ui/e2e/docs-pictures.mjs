// The pictures of docs/pictures, by one command (make docs-pictures): a small district of invented
// places with a fire, an open manhole and a technician at work, played to a real gateway, once in
// each language. It fails where a picture is larger than a page of documents should carry.
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { film } from './camera.mjs'
import { isLive, openDesk, openPlace, settled, sitDown } from './console-harness.mjs'
import { goTo, openBrowser, openPhone, root, until, World } from './harness.mjs'

const folder = process.env.PICTURES ?? join(root, 'docs/pictures')
const most = { one: 100 << 10, all: 1_200_000 }
const eui = '24e124535b0000aa'
const tokens = { fire: 'fire-token-0123456789abcdef0123', lift: 'lift-token-0123456789abcdef0123' }

/** in the language of the pictures; what has no English name yet is told in both. */
const words = {
  zh: {
    units: ['虹桥微型消防站', '嘉和物业', '市政排水', '街道城管中队', '安捷维保', '虹桥消防救援站', '古北居委会'],
    building: (n) => `${n}号楼`, road: (n) => `示例路 ${n} 号`, keys: '物业前台', entrance: '北门',
    kinds: { smoke: '走廊烟感', door: '防火门', manhole: '雨水井', parking: '消防通道车位' },
    basement: '3号楼 B1 配电间烟感', room: '配电间', technician: '技术员', operator: '值班员', unit: '站员',
    claim: '认领到点位', near: '查找我附近的点位', claimed: '认领并开始验收', other: '其他型号', camera: '打开相机', button: '按测试键', free: '5号楼 6F 走廊烟感',
  },
  en: {
    units: ['Hongqiao micro fire station', 'Jiahe property', 'City drains', 'Street urban management', 'Anjie maintenance', 'Hongqiao fire station', 'Gubei committee'],
    building: (n) => `Block ${n}`, road: (n) => `Demo Road ${n}`, keys: 'front desk', entrance: 'north gate',
    kinds: { smoke: 'corridor smoke', door: 'fire door', manhole: 'storm drain', parking: 'fire lane bay' },
    basement: 'Block 3 B1 switch room', room: 'switch room', technician: 'technician', operator: 'operator', unit: 'fireman',
    claim: 'Claim to a point', near: 'Find points near me', claimed: 'Claim and commission', other: 'Another model', camera: 'Open the camera', button: 'test button', free: 'Block 5 6F corridor smoke',
  },
}

/** district is the registry: fixed points of fixed places, so that two runs show the same. */
function district(w) {
  const at = { district: '310105', mode: 'live' }
  const kinds = ['micro_fire_station', 'property', 'utility', 'urban_management', 'maintenance', 'fire', 'residents_committee']
  const units = w.units.map((name, i) => ({
    ...at, id: kinds[i], name, kind: kinds[i], tier: [2, 2, 3, 3, 2, 3, 1][i], connector: 'inbox', ...(kinds[i] === 'maintenance' && { contractor: 'maintenance' }),
    token: { micro_fire_station: tokens.fire, maintenance: tokens.lift }[kinds[i]] ?? `${kinds[i]}-token-0123456789abcdef`,
  }))
  const buildings = [3, 5].map((n) => ({ ...at, id: 'b-' + n, name: w.building(n), entrances: [w.entrance], key_holder: w.keys, contractor: 'maintenance' }))
  const point = (id, name, kind, lon, lat, more = {}) => ({ ...at, id, name, kind, address: w.road(18), lon, lat, crs: 'WGS84', contractor: 'maintenance', ...more })
  const points = [
    point('p-fire', w.basement, 'smoke', 121.4012, 31.2102, { building: 'b-3', floor: 'B1', room: w.room }),
    point('p-free', w.free, 'smoke', 121.4, 31.2099, { building: 'b-5', floor: '6F' }),
  ]
  const turn = ['smoke', 'smoke', 'door', 'manhole', 'parking', 'smoke']
  for (let i = 0; i < 180; i++) {
    const kind = turn[i % turn.length]
    const n = 1 + (i % 40)
    points.push(point(`p-${i}`, `${w.road(n)} ${w.kinds[kind]}`, kind, 121.345 + ((i * 37) % 83) / 1000, 31.197 + ((i * 53) % 31) / 1000, { address: w.road(n) }))
  }
  const heard = points.filter((p) => p.id !== 'p-free')
  const from = new Date(Date.now() - 3_600_000).toISOString()
  return {
    units, buildings, points,
    devices: heard.map((p) => ({ identity: 'sn:' + p.id, profile: 'gridgate/json', mode: 'live' })),
    installations: heard.map((p) => ({ device: 'sn:' + p.id, channel: 'main', point: p.id, from })),
  }
}

/** save keeps a picture as WebP, as good as the limit allows. */
async function save(page, name) {
  const cdp = await page.context().newCDPSession(page)
  for (const quality of [72, 60, 48, 36]) {
    const { data } = await cdp.send('Page.captureScreenshot', { format: 'webp', quality })
    const bytes = Buffer.from(data, 'base64')
    if (bytes.length > most.one) continue
    writeFileSync(join(folder, name + '.webp'), bytes)
    console.log(`${String(bytes.length).padStart(7)}  ${name}.webp  quality ${quality}`)
    return bytes.length
  }
  throw new Error(`${name} is larger than ${most.one} bytes`)
}

async function areas(world, body) {
  const res = await fetch(`${world.url}/api/v1/areas?crs=WGS84`, { method: 'PUT', headers: { Authorization: 'Bearer ' + world.admin, 'Content-Type': 'application/geo+json' }, body })
  if (!res.ok) throw new Error(`areas: ${res.status} ${await res.text()}`)
}

/** happen is what the pictures show, while seated watches at a desk. */
async function happen(world, seated) {
  const opened = (point, type) => until(`${type} at ${point}`, async () => (await world.api(`/alarms?type=${type}&point=${point}`)).items[0])
  for (const n of [3, 9, 15, 21]) await world.say(`sn:p-${n}`, { 'manhole.open': false, 'battery.level': 80 + n, seq: 1 })
  for (const n of [2, 8]) await world.say('sn:p-' + n, { tamper: true, seq: 1 })
  await world.say('sn:p-15', { 'manhole.open': true, seq: 2 })
  const manhole = await opened('p-15', 'manhole.open')
  const by = { name: seated, role: 'operator' }
  await world.api(`/alarms/${manhole.id}/take`, { method: 'POST', body: { seat: 'desk-1', by } })
  await world.api(`/alarms/${manhole.id}/ack`, { method: 'POST', body: { by } })
  const unit = 'utility-token-0123456789abcdef'
  const ticket = await until('its ticket', async () => (await world.api('/alarms/' + manhole.id)).ticket)
  for (const verb of ['accept', 'arrive']) await world.api(`/tickets/${ticket}/moves`, { method: 'POST', token: unit, body: { verb } })
  await world.say('sn:p-fire', { 'smoke.alarm': true, 'battery.level': 88, seq: 1 })
  return opened('p-fire', 'smoke.alarm')
}

/** sit takes a seat by the status line, which arms the sound. */
async function sit(page) {
  await page.locator('[data-testid=seat]').click()
  await page.locator('aside [data-seat=desk-1] [data-do=sit]').click()
  await page.locator('[data-testid=seat][data-why=watching]').waitFor()
  await page.keyboard.press('Escape')
  await page.getByText(/^(已入席|Signed on)/).waitFor({ state: 'detached' }) // the notice lies over what is to be seen
}

/** desk makes the pictures of the console, at a seat that watched before anything happened. */
async function desk(browser, world, lang) {
  const d = await openDesk(browser, { url: world.url, lang, theme: 'light', search: '#/situation?at=121.39500,31.20900,13.20' })
  const { page } = d
  await sitDown(d, { token: world.admin, name: words[lang].operator })
  await sit(page)
  const fire = (await happen(world, words[lang].operator)).id
  const ticket = await until('the ticket of the fire', async () => (await world.api('/alarms/' + fire)).ticket)
  const places = {
    situation: '#/situation?at=121.39500,31.20900,13.20', alarms: '#/alarms?alarm=' + fire, ticket: '#/tickets?ticket=' + ticket, duty: '#/duty', points: '#/points?point=p-fire', system: '#/system',
  }
  await until('the line at the top knows the name of the place', async () => (await page.getByTestId('line').textContent()).includes(words[lang].basement))
  let bytes = 0
  for (const [name, hash] of Object.entries(places)) {
    await openPlace(d, hash)
    if (name === 'situation') await until('the map is drawn', async () => Number(await page.getByTestId('map').getAttribute('data-alarms')) >= 4 && (await page.getByTestId('queue').textContent()).includes(words[lang].basement))
    await isLive(d)
    await settled(d)
    bytes += await save(page, `${name}-${lang}`)
  }
  await d.context.close()
  return bytes
}

/** figures are those of a gateway with a hundred days behind it, made of a seed. */
async function figures(browser, lang, history) {
  const world = await World.open()
  try {
    await world.kill()
    execFileSync(history, [join(world.dir, 'data'), '7', new Date().toISOString()], { stdio: 'ignore' })
    await world.start()
    const d = await openDesk(browser, { url: world.url, lang, theme: 'light', search: '#/figures?period=30d' })
    await sitDown(d, { token: world.admin, name: words[lang].operator })
    await d.page.locator('[data-kpi=reported]').waitFor()
    await settled(d)
    const bytes = await save(d.page, `figures-${lang}`)
    await d.context.close()
    return bytes
  } finally {
    await world.close()
  }
}

/** byToken signs a phone on with the token of its unit. */
async function byToken(page, token, name) {
  await page.locator('#token, [data-do=way]').first().waitFor()
  if (!(await page.locator('#token').count())) await page.locator('[data-do=way]').click()
  await page.locator('#token').fill(token)
  await page.locator('#name').fill(name)
  await page.locator('form button.primary').click()
  await page.locator('nav a').first().waitFor()
}

/** inbox is the phone of the micro fire station. */
async function inbox(browser, world, lang) {
  const phone = await openPhone(browser, { url: world.url, lang, width: 390, height: 760 })
  const { page } = phone
  await page.goto('/u/')
  await byToken(page, tokens.fire, words[lang].unit)
  await page.locator('[data-ticket]').first().click()
  await page.locator('[data-testid=state]').waitFor()
  await page.locator('[data-testid=way-in]').waitFor()
  const bytes = await save(page, `u-ticket-${lang}`)
  await phone.context.close()
  return bytes
}

/** uplink is a frame as a LoRaWAN network server hands it on. */
async function uplink(world, seq, reading) {
  const data = Buffer.from(JSON.stringify({ seq, ...reading })).toString('base64')
  const message = { deviceInfo: { devEui: eui }, fCnt: seq, fPort: 99, data, rxInfo: [{ gatewayId: '0016c001f0000001', rssi: -87, snr: 7.2 }] }
  await promisify(execFile)('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(world.mqtt), '-q', '1', '-t', `application/1/device/${eui}/event/up`, '-m', JSON.stringify(message)])
}

/** technician scans a label, claims and commissions. */
async function technician(browser, world, lang) {
  const w = words[lang]
  await uplink(world, 1, { 'smoke.alarm': false, 'battery.level': 97 })
  await until('the device is discovered', async () => (await world.api('/discovered')).items.some((x) => x.identity === 'eui:' + eui))
  const phone = await openPhone(browser, { url: world.url, lang, width: 390, height: 760, permissions: ['camera', 'geolocation'] })
  const { page } = phone
  await phone.context.setGeolocation({ longitude: 121.4, latitude: 31.21, accuracy: 8 })
  await byToken(page, tokens.lift, w.technician)
  const press = (name) => page.getByRole('button', { name }).or(page.getByRole('link', { name })).first().click()
  await goTo(phone, '#/scan')
  const open = page.getByRole('button', { name: w.camera })
  if (await open.isVisible()) await open.click({ timeout: 2000 }).catch(() => {}) // by itself it may have begun, and seen the label
  await page.waitForURL((u) => u.hash === '#/device/' + encodeURIComponent('eui:' + eui))
  await page.getByText('-87 dBm').first().waitFor()
  let bytes = await save(page, `m-scan-${lang}`)
  await press(w.claim)
  await press(w.near)
  await page.locator('main a.item', { hasText: w.free }).click()
  await page.locator('input[name=profile], #profile-words').first().waitFor()
  const radio = page.locator('input[name=profile][value="gridgate/json"]')
  if (!(await radio.count())) {
    await page.locator('details', { hasText: w.other }).locator('summary').click()
    await page.locator('#profile-words').fill('gridgate/json')
  }
  await radio.check()
  bytes += await save(page, `m-claim-${lang}`)
  await press(w.claimed)
  await page.locator('#step-title').waitFor()
  const visit = new URL(page.url()).hash.split('/').at(-1)
  await until('the server has the visit', () => world.api('/visits/' + visit)) // what came before it proves nothing
  await uplink(world, 2, { 'smoke.alarm': false, 'battery.level': 97 })
  await page.locator('#step-title', { hasText: w.button }).waitFor()
  await page.getByText('-87 dBm').first().waitFor()
  bytes += await save(page, `m-visit-${lang}`)
  await phone.context.close()
  return bytes
}

mkdirSync(folder, { recursive: true })
const dir = mkdtempSync(join(tmpdir(), 'gridgate-pictures-'))
const bin = (name, path) => {
  execFileSync('go', ['build', '-o', join(dir, name), path], { cwd: root, stdio: 'inherit' })
  return join(dir, name)
}
process.env.GRIDGATE_BIN ??= bin('gridgate', './cmd/gridgate')
const history = process.env.GRIDGATE_HISTORY ?? bin('history', './internal/gatetest/history')
const camera = await film(join(dir, 'label.y4m'), `LW:D0:70B3D57ED0000010:${eui.toUpperCase()}:000AF8BE:SX1`)
const browser = await openBrowser({ video: camera })
let all = 0
try {
  for (const lang of ['zh', 'en']) {
    const world = await World.open({ seed: district(words[lang]) })
    try {
      await areas(world, readFileSync(join(root, 'configs/district.geojson')))
      await areas(world, execFileSync(process.env.GRIDGATE_BIN, ['grid', 'demo', '--size', '500'], { cwd: world.dir, maxBuffer: 1 << 26 }))
      all += await desk(browser, world, lang)
      all += await inbox(browser, world, lang)
      all += await technician(browser, world, lang)
    } finally {
      await world.close()
    }
    all += await figures(browser, lang, history)
  }
} finally {
  await browser.close()
  rmSync(dir, { recursive: true, force: true })
}
console.log(`${all} bytes in all`)
if (all > most.all) throw new Error(`${all} bytes of pictures: want ${most.all} at most`)
