// Accounts at the desk: the first sign-on with the one-time password, a user and a wall made and
// ended, one-time codes, a passkey, and what a viewer is not offered.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { accessible, inAllLooks, isLive, openBrowser, openDesk, openPlace, pictures, sitDown, until, World } from './console-harness.mjs'
import { otp } from './harness.mjs'

let world, browser
const own = '城运中心的第一把钥匙-2026'

before(async () => {
  world = await World.open()
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

async function enter(desk, name, password, code) {
  const { page } = desk
  await page.locator('#user').fill(name)
  await page.locator('#password').fill(password)
  await page.locator('form button.primary').click()
  if (code) {
    await page.locator('#code').fill(code)
    await page.locator('form button.primary').click()
  }
}

async function leave(desk) {
  const { page } = desk
  await page.locator('header button[aria-haspopup=menu]').last().click()
  await page.getByRole('menuitem', { name: /退出|Sign off/ }).click()
  await page.locator('#user').waitFor()
}

const secretOn = async (page) => (await page.locator('.once .secret').innerText()).trim()

test('The one-time password of the first start is changed for one that is not weak, and it is gone', async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  const once = readFileSync(join(world.dir, 'data/first-password'), 'utf8').trim().split('\n').at(-1).trim()
  await inAllLooksOfSignOn(desk)
  await enter(desk, 'admin', 'not-the-password')
  await page.getByRole('alert').waitFor()
  await enter(desk, 'admin', once)
  await page.locator('#password-new').fill('password1234')
  await page.locator('#password-two').fill('password1234')
  await page.locator('form button.primary').click()
  await page.getByRole('alert').waitFor() // too common
  await page.locator('#password-new').fill(own)
  await page.locator('#password-two').fill(own)
  await page.locator('form button.primary').click()
  await isLive(desk)
  assert.throws(() => readFileSync(join(world.dir, 'data/first-password')), /ENOENT/)
  assert.equal(await page.evaluate(() => document.cookie), '', 'a script sees nothing of the session')
  await page.reload()
  await isLive(desk)
  await leave(desk)
  await page.reload()
  await page.locator('#user').waitFor()
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

async function inAllLooksOfSignOn(desk) {
  await desk.page.locator('#user').waitFor()
  await accessible(desk, 'sign-on')
}

test('A user is made, sees no deeds as a viewer, and is signed off by being disabled', async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  await enter(desk, 'admin', own)
  await isLive(desk)
  await openPlace(desk, '#/system?view=users&user=%2B')
  await page.locator('#user-id').fill('lin.view')
  await page.locator('#user-display').fill('林')
  await page.locator('aside select').first().selectOption('viewer')
  await page.locator('aside form button.primary').click()
  const once = await secretOn(page)
  await accessible(desk, 'a new user')

  const other = await openDesk(browser, { url: world.url })
  await enter(other, 'lin.view', once)
  await other.page.locator('#password-new').fill('只看不动的一个很长的新密码')
  await other.page.locator('#password-two').fill('只看不动的一个很长的新密码')
  await other.page.locator('form button.primary').click()
  await isLive(other)
  await openPlace(other, '#/duty/hazards')
  assert.equal(await other.page.getByRole('button', { name: '登记隐患' }).count(), 0)
  assert.equal((await other.page.evaluate(async () => (await fetch('/api/v1/users')).status)), 403)
  assert.equal((await other.page.evaluate(async () => (await fetch('/api/v1/system/config')).status)), 403)

  await page.locator('aside button[aria-label=关闭]').click()
  await page.getByText('lin.view').click()
  await page.getByRole('button', { name: '停用' }).click()
  await page.locator('aside').getByText('已停用').waitFor()
  await other.page.getByRole('button', { name: '重新登录' }).waitFor()
  assert.deepEqual(desk.errors, [])
  await other.context.close()
  await desk.context.close()
})

test('A wall has a token of its own, which takes no deeds and ends', async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  await enter(desk, 'admin', own)
  await isLive(desk)
  await openPlace(desk, '#/system?view=tokens&token=%2B')
  await page.locator('#token-what').fill('指挥大厅大屏')
  await page.locator('aside form button.primary').click()
  const token = await secretOn(page)
  await accessible(desk, 'a new token')
  const wall = await openDesk(browser, { url: world.url, search: '?wall=1' })
  await wall.page.locator('#token').fill(token)
  await wall.page.locator('form button.primary').click()
  await isLive(wall)
  const tried = await wall.page.evaluate(async (bearer) => {
    const asks = [['POST', '/alarms/ack'], ['GET', '/contacts'], ['GET', '/users'], ['GET', '/audit']]
    return Promise.all(asks.map(async ([method, path]) => (await fetch('/api/v1' + path, { method, headers: { Authorization: 'Bearer ' + bearer, 'Content-Type': 'application/json' }, body: method === 'POST' ? '{}' : undefined })).status))
  }, token)
  assert.deepEqual([...new Set(tried)], [403])
  await page.locator('aside button[aria-label=关闭]').click()
  await page.getByRole('button', { name: '吊销' }).click()
  await until('the wall knows', () => wall.page.locator('[data-testid=line]:not([data-link=live])').count())
  assert.deepEqual([...desk.errors, ...wall.errors], [])
  await wall.context.close()
  await desk.context.close()
})

test('With one-time codes a password alone does not sign on; a passkey does', async () => {
  const desk = await openDesk(browser, { url: world.url.replace('127.0.0.1', 'localhost') })
  const { page } = desk
  const cdp = await desk.context.newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } })
  await enter(desk, 'admin', own)
  await isLive(desk)
  await page.locator('header button[aria-haspopup=menu]').last().click()
  await page.getByRole('menuitem', { name: /admin/ }).click()
  await page.getByRole('button', { name: '启用…' }).click()
  const secret = await page.locator('aside .secret').innerText()
  assert.equal(await page.locator('svg.qr').count(), 1)
  await page.locator('#totp-code').fill(otp(secret))
  await page.getByRole('button', { name: '确认启用' }).click()
  const recovery = (await secretOn(page)).split(/\s+/)
  assert.ok(recovery.length >= 8)
  await page.locator('#passkey-name').fill('工位安全密钥')
  await page.getByRole('button', { name: '添加通行密钥' }).click()
  await page.locator('aside').getByText('工位安全密钥').waitFor()
  await accessible(desk, 'my account')
  await page.locator('aside button[aria-label=关闭]').click()
  await leave(desk)
  await enter(desk, 'admin', own, '000000')
  await page.getByRole('alert').waitFor()
  await page.locator('#code').fill(recovery[0])
  await page.locator('form button.primary').click()
  await isLive(desk)
  await leave(desk)
  await page.getByRole('button', { name: '用通行密钥登录' }).click()
  await isLive(desk)
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('Users and tokens fit every look and size, and axe finds nothing', async () => {
  const desk = await openDesk(browser, { url: world.url })
  await sitDown(desk, { token: world.admin, role: 'supervisor' })
  await inAllLooks(desk, async () => {
    for (const view of ['users', 'tokens', 'audit']) {
      await openPlace(desk, '#/system?view=' + view)
      await desk.page.locator('[role=grid], [role=table], table').first().waitFor()
      await accessible(desk, view)
    }
  })
  await pictures(desk, { users: '#/system?view=users', 'user-new': '#/system?view=users&user=%2B', tokens: '#/system?view=tokens', 'token-new': '#/system?view=tokens&token=%2B', audit: '#/system?view=audit' })
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})
