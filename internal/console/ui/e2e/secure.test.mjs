// Over TLS of the site's own authority, by a name of the house as a telephone asks for it:
// what browsers give to HTTPS alone is there, and the app opens when the gateway does not.
import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { freePort, openBrowser, openPhone, signOn, technicianToken, until, withAccount, World } from './harness.mjs'

const name = 'gridgate.lan'
let world, browser, secure
before(async () => {
  const port = await freePort()
  world = await World.open({
    config: (w) => ({ http: { listen: `127.0.0.1:${w.http}`, tls: { listen: `127.0.0.1:${port}` } } }),
    prepare: (w) => {
      w.gridgate('cert', 'ca', '--name', 'a district')
      w.gridgate('cert', 'server', name)
    },
  })
  secure = `https://${name}:${port}`
  const pem = readFileSync(join(world.dir, 'data/ca/server/gateway.pem'))
  const key = createHash('sha256').update(new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })).digest('base64')
  browser = await openBrowser({
    more: [`--host-resolver-rules=MAP ${name} 127.0.0.1`, `--ignore-certificate-errors-spki-list=${key}`, '--use-fake-device-for-media-stream'],
  })
  await until('the tickets are there', async () => (await world.api('/tasks', { token: technicianToken })).items.length === 2)
})
after(async () => {
  await browser?.close()
  await world?.close()
})

/** trusted asks as one does who has installed the authority's certificate. */
const trusted = (ca) =>
  new Promise((say, fail) => {
    const to = new URL(secure)
    request({ host: '127.0.0.1', port: to.port, servername: name, path: '/m/', ca, headers: { host: to.host } }, (res) => {
      res.resume()
      say(res.statusCode)
    }).on('error', fail).end()
  })

const camera = (page) =>
  page.evaluate(async () => {
    const stream = await navigator.mediaDevices?.getUserMedia({ video: true })
    const kinds = stream?.getTracks().map((t) => `${t.kind} ${t.readyState}`)
    stream?.getTracks().forEach((t) => t.stop())
    return kinds
  })

test('Over the authority of the site the phone has camera and works without the gateway', async () => {
  assert.equal(await trusted(readFileSync(join(world.dir, 'data/ca/ca.pem'))), 200)
  await assert.rejects(trusted(undefined), 'who has not installed it does not trust it')

  const plain = await openPhone(browser, { url: `http://${name}:${world.http}`, permissions: ['camera'] })
  assert.equal(await plain.page.evaluate(() => isSecureContext), false)
  assert.equal(await camera(plain.page), undefined, 'without TLS there is no camera')
  await withAccount(plain, 'admin', 'a long password')
  await plain.page.getByText('请用 https:// 打开本页').waitFor() // and no session either
  await plain.context.close()

  const phone = await openPhone(browser, { url: secure, permissions: ['camera'] })
  const { page, context } = phone
  assert.equal(await page.evaluate(() => isSecureContext), true)
  await signOn(phone)
  await page.locator('[data-testid=tasks] a').first().waitFor()
  assert.deepEqual(await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).map((r) => [r.scope, r.active?.state])), [[secure + '/m/', 'activated']])
  assert.equal(await page.evaluate(async () => (await navigator.permissions.query({ name: 'camera' })).state), 'granted')
  assert.deepEqual(await camera(page), ['video live'])

  const password = readFileSync(join(world.dir, 'data/first-password'), 'utf8').trim().split(/\s+/).pop()
  const status = await page.evaluate(async (password) => {
    const res = await fetch('/api/v1/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ name: 'admin', password }) })
    return res.status
  }, password)
  assert.equal(status, 200)
  const [cookie] = await context.cookies(secure)
  assert.deepEqual([cookie.name, cookie.secure, cookie.httpOnly, cookie.sameSite, cookie.path, cookie.domain], ['__Host-gridgate', true, true, 'Strict', '/', name])

  await world.kill()
  await page.reload()
  await page.locator('.net.offline').waitFor()
  await page.locator('[data-testid=tasks] a').first().waitFor()
  assert.equal(await page.locator('[data-testid=tasks] a').count(), 2, 'the tasks are on the phone')
  assert.deepEqual(await camera(page), ['video live'], 'and so is the camera')
  assert.deepEqual(phone.errors, [])
  await context.close()
})
