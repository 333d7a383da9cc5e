// What the browser tests stand on: a real gateway with a seeded registry, a real device over
// MQTT, and a real browser. Nothing waits for a time: everything waits for a condition.
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync, openSync } from 'node:fs'
import { createServer, request } from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'

export const root = join(import.meta.dirname, '../../../..')
export const shots = join(import.meta.dirname, '../shots')
const axeSource = readFileSync(join(import.meta.dirname, '../node_modules/axe-core/axe.min.js'), 'utf8')
const patience = Number(process.env.PATIENCE ?? 30_000)

/** The gateway's program, built once for all test files by run.mjs. */
function gatewayBin() {
  if (process.env.GRIDGATE_BIN) return process.env.GRIDGATE_BIN
  const bin = join(tmpdir(), 'gridgate-e2e')
  execFileSync('go', ['build', '-o', bin, './cmd/gridgate'], { cwd: root, stdio: 'inherit' })
  return bin
}

/** A port below those that the system hands out, so that the gateway finds it free again after a kill. */
export async function freePort() {
  for (let i = 0; i < 100; i++) {
    const port = 12_000 + Math.floor(Math.random() * 20_000)
    const free = await new Promise((say) => {
      const l = net.createServer()
      l.once('error', () => say(false))
      l.listen(port, '127.0.0.1', () => l.close(() => say(true)))
    })
    if (free) return port
  }
  throw new Error('no port is free')
}

/** until asks again and again, until what gives something, or throws what was asked for. */
export async function until(what, fn, within = patience) {
  const end = Date.now() + within
  let last
  for (;;) {
    try {
      const got = await fn()
      if (got) return got
    } catch (err) {
      if (err instanceof Over) throw err
      last = err
    }
    if (Date.now() > end) throw new Error(`waited ${within / 1000} s in vain: ${what}${last ? `: ${last.message}` : ''}`)
    await new Promise((go) => setTimeout(go, 50))
  }
}

/** Over says that no waiting will help. */
class Over extends Error {}

export const technicianToken = 'lift-token-0123456789abcdef0123'
export const otherToken = 'pump-token-0123456789abcdef0123'

/**
 * A contractor, four points in its hands and one that is not. The devices of door and cover
 * were put up long ago and never heard: a ticket each, of P4, from the start.
 */
export const registry = {
  units: [
    { id: 'lift-1', name: '安捷维保', kind: 'maintenance', tier: 2, district: '310105', mode: 'live', connector: 'inbox', contractor: 'lift-1', token: technicianToken },
    { id: 'pump-1', name: '恒流泵业', kind: 'maintenance', tier: 2, district: '310105', mode: 'live', connector: 'inbox', contractor: 'other', token: otherToken },
    { id: 'fire-1', name: '仙霞微型消防站', kind: 'micro_fire_station', tier: 2, district: '310105', mode: 'live', connector: 'inbox', token: 'fire-token-0123456789abcdef0123' },
    { id: 'desk-1', name: '运行中心', kind: 'operator', tier: 4, district: '310105', mode: 'live', connector: 'inbox', token: 'desk-token-0123456789abcdef0123' },
  ],
  buildings: [
    { id: 'b-3', name: '3号楼', entrances: ['北门', '车库坡道'], key_holder: '物业前台', district: '310105', street: '310105005', contractor: 'lift-1', mode: 'live' },
    { id: 'b-5', name: '5号楼', district: '310105', street: '310105005', contractor: 'lift-1', mode: 'live' },
  ],
  points: [
    point('p-smoke', '3号楼 B1 配电间烟感', 'smoke', { building: 'b-3', floor: 'B1', room: '配电间' }),
    point('p-door', '3号楼 1F 防火门', 'door', { building: 'b-3', floor: '1F' }),
    point('p-cover', '天山路 18 号雨水井', 'manhole', {}),
    point('p-new', '5号楼 6F 走廊烟感', 'smoke', { building: 'b-5', floor: '6F', room: '走廊' }),
    { ...point('p-other', '他人点位', 'door', {}), contractor: 'other' },
  ],
  devices: [
    { identity: 'sn:smoke-1', profile: 'gridgate/json', mode: 'live' },
    { identity: 'sn:door-1', profile: 'gridgate/json', mode: 'live' },
    { identity: 'sn:cover-1', profile: 'gridgate/json', mode: 'live' },
  ],
  installations: [
    { device: 'sn:smoke-1', channel: 'main', point: 'p-smoke', from: new Date(Date.now() - 60_000).toISOString() },
    { device: 'sn:door-1', channel: 'main', point: 'p-door', from: '2026-01-01T00:00:00Z' },
    { device: 'sn:cover-1', channel: 'main', point: 'p-cover', from: '2026-01-01T00:00:00Z' },
  ],
}

function point(id, name, kind, more) {
  return {
    id, name, kind, district: '310105', street: '310105005', contractor: 'lift-1', cell: '310105005001001',
    address: '天山路 18 弄', lon: 121.4, lat: 31.21, crs: 'WGS84', mode: 'live', ...more,
  }
}

/** ours is the environment without what a person has set for their own gateway. */
const ours = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GRIDGATE_')))

/** World is one gateway with its data; it may be killed and started again on the same ports. */
export class World {
  /** config is added to gridgate.yaml; files, by name, lie beside it; prepare may run commands before the start. */
  static async open({ seed = registry, config = {}, files = {}, prepare } = {}) {
    const w = new World()
    w.dir = mkdtempSync(join(tmpdir(), 'gridgate-e2e-'))
    w.http = await freePort()
    w.mqtt = await freePort()
    w.url = `http://127.0.0.1:${w.http}`
    for (const [name, text] of Object.entries(files)) writeFileSync(join(w.dir, name), text)
    // JSON is YAML.
    writeFileSync(join(w.dir, 'seed.yaml'), JSON.stringify(seed, null, 1))
    writeFileSync(
      join(w.dir, 'gridgate.yaml'),
      JSON.stringify({
        data_dir: 'data', http: { listen: `127.0.0.1:${w.http}` }, broker: { listen: `127.0.0.1:${w.mqtt}`, anonymous: true },
        influx: { managed: false, url: '' }, registry: ['seed.yaml'], ...(typeof config === 'function' ? config(w) : config),
      }),
    )
    await prepare?.(w)
    await w.start()
    return w
  }

  /** gridgate runs a command of the command line in the gateway's folder. */
  gridgate(...args) {
    return execFileSync(gatewayBin(), ['--config', join(this.dir, 'gridgate.yaml'), ...args], { cwd: this.dir, env: ours(), encoding: 'utf8' })
  }

  async start() {
    const log = openSync(join(this.dir, 'log'), 'a')
    this.child = spawn(gatewayBin(), ['serve', '--config', join(this.dir, 'gridgate.yaml')], { stdio: ['ignore', log, log], cwd: this.dir, env: ours() })
    this.ended = new Promise((say) => this.child.once('exit', say))
    await until('the gateway is ready', async () => {
      if (this.child.exitCode !== null) throw new Over('it ended:\n' + this.log())
      return (await fetch(this.url + '/readyz', { signal: AbortSignal.timeout(5_000) })).ok
    }).catch((err) => {
      throw new Error(err.message + '\n' + this.log())
    })
    this.admin = readFileSync(join(this.dir, 'data/token'), 'utf8').trim()
  }

  /** kill ends it as a power cut would. */
  async kill() {
    this.child.kill('SIGKILL')
    await this.ended
  }

  async close() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill()
    rmSync(this.dir, { recursive: true, force: true })
  }

  log() {
    return readFileSync(join(this.dir, 'log'), 'utf8').split('\n').slice(-30).join('\n')
  }

  /** api asks as the administrator, unless a token is given, and wants a good answer. */
  async api(path, { method = 'GET', body, token = this.admin, key } = {}) {
    const headers = { Authorization: 'Bearer ' + token }
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    if (key) headers['Idempotency-Key'] = key
    const res = await fetch(this.url + '/api/v1' + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(60_000) })
    const text = await res.text()
    if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${text}`)
    return text ? JSON.parse(text) : undefined
  }

  /** say has a device send one frame: it is on the gateway's disk when this returns. */
  async say(identity, reading) {
    const payload = typeof reading === 'string' ? reading : JSON.stringify(reading)
    await promisify(execFile)('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(this.mqtt), '-q', '1', '-t', 'gridgate/up/' + identity, '-m', payload])
  }
}

/** Line is a proxy before the gateway that can lose answers: the request arrives, its answer does not. */
export class Line {
  static async open(world) {
    const l = new Line()
    l.lose = () => false
    l.lost = 0
    l.change = undefined // (req, text) => text: what is served in its place
    l.server = createServer((req, res) => {
      const on = request({ host: '127.0.0.1', port: world.http, path: req.url, method: req.method, headers: l.change ? { ...req.headers, 'accept-encoding': 'identity', 'if-none-match': '' } : req.headers }, (answer) => {
        if (l.lose(req)) {
          answer.resume()
          answer.on('end', () => {
            l.lost++
            res.destroy()
          })
          return
        }
        if (l.change && req.url.endsWith('.js')) {
          const parts = []
          answer.on('data', (p) => parts.push(p))
          answer.on('end', () => {
            const { 'content-length': _, etag: __, ...headers } = answer.headers
            res.writeHead(answer.statusCode, headers)
            res.end(l.change(req, Buffer.concat(parts).toString()))
          })
          return
        }
        res.writeHead(answer.statusCode, answer.headers)
        answer.pipe(res)
      })
      on.on('error', () => res.destroy())
      req.pipe(on)
    })
    await new Promise((go) => l.server.listen(0, '127.0.0.1', go))
    l.url = `http://127.0.0.1:${l.server.address().port}`
    return l
  }

  close() {
    this.server.closeAllConnections()
    this.server.close()
  }
}

// As Chromium is on a computer without a graphics card: WebGL by SwiftShader, and the page put
// together by the processor. Through SwiftShader each picture of a full window would take 50 ms.
const flags = [
  '--no-sandbox', '--disable-dev-shm-usage', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-gpu-compositing', '--disable-background-networking',
]

/** browser opens Chromium; video is a picture's path that its fake camera shows; more are flags of its own. */
export function openBrowser({ video, more = [] } = {}) {
  const camera = video ? ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', '--use-file-for-fake-video-capture=' + video] : []
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...flags, ...camera, ...more] })
}

/** openPhone is a phone with its own storage. What its page throws fails the test at the end (phone.errors). */
export async function openPhone(browser, { url, width = 360, height = 740, lang = 'zh', theme = 'light', permissions = [] }) {
  const context = await browser.newContext({
    viewport: { width, height }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, baseURL: url, permissions,
    locale: lang === 'zh' ? 'zh-CN' : 'en-GB', colorScheme: theme, timezoneId: 'Asia/Shanghai', reducedMotion: 'reduce',
  })
  context.setDefaultTimeout(patience)
  const page = await context.newPage()
  const errors = []
  page.on('pageerror', (err) => errors.push(String(err)))
  await page.goto('/m/')
  return { context, page, errors, lang, theme, width, height }
}

/** byToken shows the form of the unit's token, in place of the account's. */
export async function byToken(phone) {
  await phone.page.locator('[data-do=way]').waitFor()
  if ((await phone.page.locator('#token').count()) === 0) await phone.page.locator('[data-do=way]').click()
}

/** signOn types the token as a technician does, and waits until the app is kept on the phone. */
export async function signOn(phone, { token = technicianToken, name = '王工' } = {}) {
  const { page } = phone
  await byToken(phone)
  await page.locator('#token').fill(token)
  await page.locator('#name').fill(name)
  await page.locator('form button.primary').click()
  await isIn(phone)
}

/** isIn waits until the app is open and kept on the phone. */
export async function isIn({ page }) {
  await page.locator('nav a').first().waitFor()
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null)
}

/** withAccount fills the form of an account, and sends it. */
export async function withAccount({ page }, user, password) {
  await page.locator('[data-do=way]').waitFor()
  if ((await page.locator('#user').count()) === 0) await page.locator('[data-do=way]').click()
  await page.locator('#user').fill(user)
  await page.locator('#password').fill(password)
  await page.locator('form button.primary').click()
}

/** otp is the code of RFC 6238 of a base32 secret now, or of the step after. */
export function otp(secret, step = 0) {
  const bits = [...secret.replace(/\s/g, '')].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + step))
  const mac = createHmac('sha1', key).update(counter).digest()
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

/** goTo opens a place in the app and waits for its heading: the new one, a screen may be fetched first. */
export async function goTo(phone, hash) {
  await phone.page.evaluate((h) => new Promise((drawn) => {
    if (location.hash === h) return drawn()
    addEventListener('hashchange', () => requestAnimationFrame(() => requestAnimationFrame(drawn)), { once: true })
    location.hash = h
  }), hash)
  await phone.page.locator('main h1').waitFor()
}

/** queueIs waits until the chip shows so many acts that wait and that are refused. */
export async function queueIs(phone, { waiting = 0, refused = 0 }) {
  await phone.page.locator(`[data-testid=queue-chip][data-waiting="${waiting}"][data-refused="${refused}"]`).waitFor()
}

/** accessible fails on any violation that axe finds on the screen as it is. */
export async function accessible(phone, what) {
  await phone.page.locator('h1').first().waitFor({ state: 'attached' }) // a page that is not drawn yet is not judged
  await phone.page.evaluate(axeSource)
  const found = await phone.page.evaluate(() =>
    window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  )
  const said = found.violations.map((v) => `${v.id}: ${v.help}\n    ${v.nodes.map((n) => n.target.join(' ') + ' ' + (n.failureSummary ?? '').replace(/\s+/g, ' ')).join('\n    ')}`)
  assert.deepEqual(said, [], `${what} (${phone.lang}, ${phone.theme})`)
  await bigEnough(phone, what)
}

/** bigEnough fails on what is to be touched and smaller than 44 px. Links within text are exempt. */
async function bigEnough(phone, what) {
  const small = await phone.page.evaluate(() =>
    [...document.querySelectorAll('button, a.btn, a.item, nav a, header a, input:not([type=radio]):not([type=checkbox]):not(.sr), select, textarea')]
      .map((el) => ({ el, r: el.getBoundingClientRect() }))
      .filter(({ r }) => r.width > 0 && (r.height < 43.5 || r.width < 43.5))
      .map(({ el, r }) => `${el.outerHTML.slice(0, 80)} ${Math.round(r.width)}x${Math.round(r.height)}`),
  )
  assert.deepEqual(small, [], `${what}: too small to touch`)
  const wide = await phone.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(wide <= 0, `${what} (${phone.lang}, ${phone.width}): ${wide} px wider than the phone`)
}

/** shoot keeps a picture of the screen for a person to look at, where SHOTS=1 asks for them (make web-shots). */
export async function shoot(phone, name) {
  if (!process.env.SHOTS) return
  mkdirSync(shots, { recursive: true })
  await phone.page.screenshot({ path: join(shots, `${name}-${phone.lang}-${phone.theme}-${phone.width}.png`) })
}

/** A small real JPEG, made by the browser itself. */
export async function jpeg(phone, width = 2400, height = 1800) {
  const data = await phone.page.evaluate(
    async ([w, h]) => {
      const c = new OffscreenCanvas(w, h)
      const g = c.getContext('2d')
      g.fillStyle = '#886644'
      g.fillRect(0, 0, w, h)
      g.fillStyle = '#eeeeee'
      g.fillRect(w / 4, h / 8, w / 2, (h * 3) / 4)
      const b = await c.convertToBlob({ type: 'image/jpeg', quality: 0.8 })
      return [...new Uint8Array(await b.arrayBuffer())]
    },
    [width, height],
  )
  return { name: 'door.jpg', mimeType: 'image/jpeg', buffer: Buffer.from(data) }
}
