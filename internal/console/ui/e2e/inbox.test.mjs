// The inbox of a unit in a real browser: from the alarm to the photo and back, with the gateway
// killed in the midst.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, byToken, goTo, isIn, jpeg, openBrowser, otp, queueIs, registry, shoot, until, withAccount, World } from './harness.mjs'

const fire = registry.units.find((u) => u.id === 'fire-1')
let world, browser
before(async () => {
  world = await World.open()
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

/** openInbox is a phone of the unit's, signed on, whose app is kept on it. */
async function openInbox(look) {
  const phone = await openPage(look)
  const { page } = phone
  await byToken(phone)
  await page.locator('#token').fill(fire.token)
  await page.locator('#name').fill('站员')
  await accessible(phone, 'sign-on')
  await page.locator('form button.primary').click()
  await isIn(phone)
  return phone
}

/** openPage is the inbox on a phone, before anybody signs on. */
async function openPage({ lang = 'zh', theme = 'light', width = 360, height = 740, url = world.url } = {}) {
  const context = await browser.newContext({
    viewport: { width, height }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, baseURL: url,
    locale: lang === 'zh' ? 'zh-CN' : 'en-GB', colorScheme: theme, timezoneId: 'Asia/Shanghai', reducedMotion: 'reduce',
  })
  context.setDefaultTimeout(30_000)
  const page = await context.newPage()
  const errors = []
  page.on('pageerror', (err) => errors.push(String(err)))
  page.on('request', (r) => { if (!r.url().startsWith(url) && !/^(data|blob):/.test(r.url())) errors.push('asks of elsewhere: ' + r.url()) })
  page.on('console', (m) => { if (m.type() === 'error' && /Content Security Policy/.test(m.text())) errors.push(m.text()) })
  await page.goto('/u/')
  return { context, page, errors, lang, theme, width, height }
}

const line = (phone, id) => phone.page.locator(id ? `[data-ticket="${id}"]` : '[data-ticket]').first()
const state = (phone, s) => phone.page.locator(`[data-testid=state][data-state="${s}"]`).waitFor()
const press = (phone, verb) => phone.page.locator(`[data-verb=${verb}]`).click()

test('A fire is a ticket in the inbox without a reload, and is worked on with the gateway killed: nothing is lost and nothing doubled', async () => {
  const phone = await openInbox()
  const { page } = phone
  await page.locator('.live').getByText('实时').waitFor()
  await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: 1 })
  await line(phone).waitFor()
  const id = await line(phone).getAttribute('data-ticket')
  await line(phone).locator('.new').waitFor()
  await accessible(phone, 'the list')
  await shoot(phone, 'inbox-list')
  await line(phone).click()
  await state(phone, 'dispatched')
  const wayIn = page.locator('[data-testid=way-in]')
  await wayIn.getByText('北门').waitFor()
  await wayIn.getByText('物业前台').waitFor()
  await page.locator('summary').click()
  await page.locator('[data-step=alarm]').waitFor()
  assert.equal(await page.locator('[data-step=frame], [data-step=decoded]').count(), 0, 'a unit is not told the bytes')
  await page.locator('summary').click()
  await accessible(phone, 'a ticket')
  await shoot(phone, 'inbox-ticket')
  await press(phone, 'accept')
  await state(phone, 'accepted')
  await queueIs(phone, {})

  await world.kill()
  await press(phone, 'arrive')
  await page.locator('[data-testid=waiting]').waitFor()
  await press(phone, 'verify')
  await page.locator('[data-finding=true]').click()
  await page.locator('main input[type=file]').setInputFiles(await jpeg(phone))
  await page.locator('[data-testid=add-photo]').click()
  await queueIs(phone, { waiting: 3 })
  await page.reload() // the app and the ticket come off the phone
  await state(phone, 'in_progress')
  await page.locator('.thumbs img').waitFor()
  await accessible(phone, 'a ticket without a network')
  await shoot(phone, 'inbox-offline')
  await press(phone, 'note')
  await page.locator('#reason').fill('写错了')
  await page.locator('[data-send=note]').click()
  await queueIs(phone, { waiting: 4 })
  await page.locator('[data-testid=waiting] button').click() // undone before it was sent
  await queueIs(phone, { waiting: 3 })

  await world.start()
  await queueIs(phone, {})
  await press(phone, 'resolve')
  await page.locator('#reason').fill('厨房油烟，已处理')
  await page.locator('[data-send=resolve]').click()
  await state(phone, 'resolved')
  await until('the gateway has it', async () => (await world.api(`/tickets/${id}`)).assignments.some((x) => x.unit === 'fire-1' && x.state === 'resolved'))
  await queueIs(phone, {})

  const moves = (await world.api(`/tickets/${id}/moves`)).items.filter((m) => m.by.unit === 'fire-1')
  // The picture is told as a note; what was undone is not told at all.
  assert.deepEqual(moves.map((m) => m.verb), ['accept', 'arrive', 'verify', 'note', 'resolve'])
  assert.ok(!JSON.stringify(moves).includes('写错了'))
  assert.equal(moves[0].by.name, '站员')
  const files = (await world.api(`/tickets/${id}/evidence`)).items
  assert.equal(files.length, 1)
  assert.ok(files[0].bytes < 400_000, `the picture is ${files[0].bytes} bytes: it was not made smaller`)
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

test('A ticket is returned with a reason and a proposed unit, and what came too late is refused in words', async () => {
  const phone = await openInbox({ lang: 'zh', theme: 'dark', width: 390, height: 844 })
  const { page } = phone
  await world.api('/registry', { method: 'PUT', body: { ...registry, devices: [...registry.devices, { identity: 'sn:smoke-2', profile: 'gridgate/json', mode: 'live' }], installations: [...registry.installations, { device: 'sn:smoke-2', channel: 'main', point: 'p-new', from: '2026-01-01T00:00:00Z' }] } })
  await world.say('sn:smoke-2', { 'smoke.alarm': true, seq: 1 })
  await page.locator('[data-ticket][data-state=dispatched]').first().click()
  await state(phone, 'dispatched')
  const id = await page.evaluate(() => location.hash.split('/').at(-1))
  await phone.context.setOffline(true)
  await press(phone, 'accept')
  await page.locator('[data-testid=waiting]').waitFor()
  await world.api(`/tickets/${id}/moves`, { method: 'POST', body: { verb: 'return', reason: '车坏了', unit: 'desk-1' }, token: fire.token })
  await phone.context.setOffline(false)
  await queueIs(phone, { refused: 1 })
  await page.locator('[role=alert]').getByText('已退回').first().waitFor()
  await accessible(phone, 'a refusal')
  await shoot(phone, 'inbox-refused')
  await page.locator('article[data-state=refused] button.primary').click()
  await queueIs(phone, {})
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

for (const [lang, theme, width, height] of [['zh', 'dark', 390, 844], ['en', 'light', 360, 740], ['en', 'dark', 430, 932]]) {
  test(`Every screen of the inbox is accessible and fits: ${lang}, ${theme}, ${width}x${height}`, async () => {
    const phone = await openInbox({ lang, theme, width, height })
    await line(phone).waitFor()
    await accessible(phone, 'the list')
    await shoot(phone, 'inbox-list')
    await line(phone).click()
    await phone.page.locator('[data-verb]').first().waitFor()
    await accessible(phone, 'a ticket')
    await shoot(phone, 'inbox-ticket')
    for (const place of ['#/me', '#/queue']) {
      await goTo(phone, place)
      await accessible(phone, place)
    }
    assert.deepEqual(phone.errors, [])
    await phone.context.close()
  })
}

test('A unit’s person signs on with an account, a code and a passkey, and a sign-off without a network ends the session later', async () => {
  const zhan = await world.api('/users', { method: 'POST', body: { name: 'zhan.yuan', display: '站员', role: 'unit', units: ['fire-1'] } })
  const lin = await world.api('/users', { method: 'POST', body: { name: 'lin.desk', role: 'operator' } })
  const phone = await openPage({ width: 390, height: 844, url: world.url.replace('127.0.0.1', 'localhost') })
  const { page, context } = phone
  const cdp = await context.newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } })
  const sessions = async () => (await world.api('/users/zhan.yuan/sessions')).items.length
  const signOut = async () => {
    await goTo(phone, '#/me')
    await page.getByRole('button', { name: '退出登录' }).click()
    await page.getByRole('button', { name: '删除并退出' }).click()
    await page.locator('#user').waitFor()
  }
  const first = async (user) => {
    await withAccount(phone, user.name, user.one_time)
    await page.locator('#password-new').fill(own)
    await page.locator('#password-two').fill(own)
    await page.locator('form button.primary').click()
  }
  await first(lin) // has no inbox
  await page.getByRole('link', { name: '打开值守台' }).waitFor()
  await accessible(phone, 'a user of the desk')
  await first(zhan)
  await isIn(phone)
  await line(phone).waitFor()
  await goTo(phone, '#/account')
  await page.locator('[data-do=codes]').click()
  const secret = await page.locator('.secret').innerText()
  await accessible(phone, 'one-time codes')
  await shoot(phone, 'inbox-account-codes')
  await page.locator('#totp-code').fill(otp(secret))
  await page.getByRole('button', { name: '确认启用' }).click()
  const recovery = (await page.locator('[data-testid=recovery]').innerText()).trim().split(/\s+/)
  await page.locator('#passkey-name').fill('站里的手机')
  await page.getByRole('button', { name: '添加通行密钥' }).click()
  await page.getByText('站里的手机').waitFor()
  await accessible(phone, 'my account')
  await signOut()
  await until('the session has ended', async () => (await sessions()) === 0)

  await withAccount(phone, 'zhan.yuan', own)
  await page.locator('#code').fill('000000')
  await page.locator('form button.primary').click()
  await page.getByRole('alert').filter({ hasText: '不对' }).waitFor()
  await page.locator('#code').fill(recovery[0])
  await page.locator('form button.primary').click()
  await isIn(phone)
  await line(phone).click()
  await press(phone, 'note')
  await page.locator('#reason').fill('用账号写的')
  await page.locator('[data-send=note]').click()
  await queueIs(phone, {})

  await context.setOffline(true)
  await page.locator('.net.offline').waitFor()
  await goTo(phone, '#/me')
  await page.getByRole('button', { name: '退出登录' }).click()
  await page.getByText('要等本机再次联网时才结束').waitFor()
  await page.getByRole('button', { name: '删除并退出' }).click()
  await page.locator('#user').waitFor()
  assert.equal(await sessions(), 1)
  await context.setOffline(false)
  await until('the session has ended', async () => (await sessions()) === 0)
  assert.equal(await page.locator('[data-do=resume]').count(), 0)

  await page.reload()
  await page.locator('[data-do=passkey]').click()
  await isIn(phone)
  await line(phone).waitFor()
  assert.deepEqual(phone.errors, [])
  await context.close()
})

const own = '微型消防站的长密码-2026'

test('Another unit’s ticket is not in the inbox', async () => {
  const theirs = (await world.api('/tickets?state=open')).items.filter((t) => !t.assignments?.some((a) => a.unit === 'fire-1'))
  assert.ok(theirs.length > 0)
  const res = await fetch(`${world.url}/api/v1/tickets/${theirs[0].id}`, { headers: { Authorization: 'Bearer ' + fire.token } })
  assert.equal(res.status, 404)
  const phone = await openInbox()
  await line(phone).waitFor()
  assert.equal(await phone.page.locator(`[data-ticket="${theirs[0].id}"]`).count(), 0)
  await phone.context.close()
})
