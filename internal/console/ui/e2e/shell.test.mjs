// Sign-on, the screens of the shell in both languages and themes, and what sign-out does.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, byToken, goTo, isIn, openBrowser, openPhone, otherToken, queueIs, shoot, signOn, technicianToken, until, withAccount, World } from './harness.mjs'

let world, browser
before(async () => {
  world = await World.open()
  browser = await openBrowser()
  // A ticket of the contractor's: a detector that was tampered with.
  await world.say('sn:smoke-1', { tamper: true, 'battery.level': 80, seq: 1 })
  await until('the ticket is there', async () => (await world.api('/tickets?type=device.tamper')).items.length === 1)
})
after(async () => {
  await browser?.close()
  await world?.close()
})

test('A wrong token is refused in words, and a right one opens the app', async () => {
  const phone = await openPhone(browser, { url: world.url })
  const { page } = phone
  await accessible(phone, 'sign-on')
  await shoot(phone, 'sign-on')
  await byToken(phone)
  await accessible(phone, 'sign-on by token')
  await shoot(phone, 'sign-on-token')
  await page.locator('form button.primary').click()
  await page.getByRole('alert').waitFor()
  await page.locator('#token').fill('not-a-token')
  await page.locator('#name').fill('王工')
  await page.locator('form button.primary').click()
  await page.getByText('令牌无效').waitFor()
  await accessible(phone, 'sign-on refused')
  await signOn(phone)
  assert.equal(await page.evaluate(() => location.hash), '#/tasks')
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

for (const [lang, theme, width, height] of [
  ['zh', 'light', 360, 740], ['en', 'light', 360, 740], ['zh', 'dark', 412, 915], ['en', 'dark', 412, 915],
]) {
  test(`Every screen of the shell is accessible and fits: ${lang}, ${theme}, ${width}x${height}`, async () => {
    const phone = await openPhone(browser, { url: world.url, lang, theme, width, height })
    await signOn(phone)
    const { page } = phone
    await page.locator('[data-testid=tasks] a').first().waitFor()
    await accessible(phone, 'tasks')
    await shoot(phone, 'tasks')
    await page.locator('[data-testid=tasks] a').first().click()
    await page.locator('[data-testid=state]').waitFor()
    await accessible(phone, 'task')
    await shoot(phone, 'task')
    await page.getByRole('button', { name: lang === 'zh' ? '退回' : 'Return' }).click()
    await page.locator('#reason').waitFor()
    await accessible(phone, 'task return')
    for (const [name, hash] of [['me', '#/me'], ['queue', '#/queue'], ['windows', '#/windows'], ['window-new', '#/windows/new?point=p-smoke']]) {
      await goTo(phone, hash)
      if (name === 'me') await page.locator('[data-testid=pack]').waitFor()
      await accessible(phone, name)
      await shoot(phone, name)
    }
    assert.deepEqual(phone.errors, [])
    await phone.context.close()
  })
}

test('Language and appearance are chosen, kept over a reload, and the page says its language', async () => {
  const phone = await openPhone(browser, { url: world.url })
  await signOn(phone)
  await goTo(phone, '#/me')
  const { page } = phone
  await page.getByRole('button', { name: 'English' }).click()
  await page.getByRole('button', { name: 'Dark' }).click()
  await page.reload()
  await page.getByRole('heading', { name: 'Me' }).waitFor()
  assert.equal(await page.locator('html').getAttribute('lang'), 'en')
  assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark')
  await phone.context.close()
})

/** signsOnAgain fills the form of another sign-on, up to its button. */
async function signsOnAgain(phone, token, name) {
  const { page } = phone
  await goTo(phone, '#/signon')
  await byToken(phone)
  await page.locator('#token').fill(token)
  await page.locator('#name').fill(name)
  await page.locator('form button.primary').click()
}

test('What is not sent never goes out under another unit: it waits for its own, or is dropped by who has read it', async () => {
  const phone = await openPhone(browser, { url: world.url })
  await signOn(phone)
  const { page } = phone
  const [ticket] = (await world.api('/tasks', { token: technicianToken })).items
  const notes = async () => (await world.api(`/tickets/${ticket.id}/moves`)).items.filter((m) => m.verb === 'note').map((m) => m.reason)
  const before = await notes()
  const hold = (route) => (route.request().method() === 'POST' ? route.abort() : route.continue())
  const note = async (text) => {
    await page.route('**/api/v1/tickets/**', hold)
    await goTo(phone, '#/tasks/' + ticket.id)
    await page.getByRole('button', { name: '备注' }).click()
    await page.locator('#reason').fill(text)
    await page.locator('form button.primary').click()
    await queueIs(phone, { waiting: 1 })
  }
  await note('底座松动')
  await signsOnAgain(phone, otherToken, '赵工')
  await page.getByText('本机有他人未上传的内容').waitFor()
  await page.getByText('不会以他人的名义上传').waitFor()
  await accessible(phone, 'other unit')
  await shoot(phone, 'other-unit')
  await page.getByRole('button', { name: '保留，并以“恒流泵业”登录' }).click()
  await page.locator('[data-testid=queue-chip][data-others="1"][data-waiting="0"]').waitFor()
  await page.unroute('**/api/v1/tickets/**', hold) // not before: until then its own unit may send it
  await goTo(phone, '#/queue')
  await page.locator('[data-unit=lift-1]').waitFor()
  await accessible(phone, 'queue of another unit')
  await page.reload() // the app begins with a sync
  await page.locator('[data-unit=lift-1]').waitFor()
  await goTo(phone, '#/tasks')
  await page.getByText('现在没有任务').waitFor()
  assert.deepEqual(await notes(), before, 'nothing went out under the other unit')

  await signsOnAgain(phone, technicianToken, '王工')
  await page.locator('[data-testid=queue-chip][data-others="0"][data-waiting="0"]').waitFor()
  assert.deepEqual(await notes(), [...before, '底座松动'])

  await note('门牌缺失')
  await signsOnAgain(phone, otherToken, '赵工')
  await page.getByRole('button', { name: '全部丢弃' }).click()
  await page.getByRole('dialog').getByText('备注').waitFor()
  await accessible(phone, 'drop of another unit')
  await shoot(phone, 'other-unit-drop')
  await page.getByRole('button', { name: '确认丢弃 1 项' }).click()
  await page.getByRole('button', { name: '以“恒流泵业”登录', exact: true }).click()
  await page.locator('[data-testid=queue-chip][data-others="0"][data-waiting="0"]').waitFor()
  assert.deepEqual(await notes(), [...before, '底座松动'])
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

test('Sign-out warns of what is not sent, and erases everything', async () => {
  const phone = await openPhone(browser, { url: world.url })
  await signOn(phone)
  const { page, context } = phone
  await page.locator('[data-testid=tasks] a').first().click()
  await context.setOffline(true)
  await page.getByRole('button', { name: '备注' }).click()
  await page.locator('#reason').fill('门锁着')
  await page.locator('form button.primary').click()
  await queueIs(phone, { waiting: 1 })
  await goTo(phone, '#/me')
  await page.getByRole('button', { name: '退出登录' }).click()
  await page.getByText('永久丢失').waitFor()
  await accessible(phone, 'sign-out')
  await shoot(phone, 'sign-out')
  await page.getByRole('button', { name: '删除并退出' }).click()
  await page.locator('#token').waitFor()
  assert.deepEqual(await kept(page), { session: 0, points: 0, acts: 0, photos: 0, kept: 0 })
  await context.close()
})

/** kept counts what is on the phone, by table. */
const kept = (page) =>
  page.evaluate(
    () =>
      new Promise((say, bad) => {
        const open = indexedDB.open('gridgate-field')
        open.onerror = () => bad(open.error)
        open.onsuccess = () => {
          const d = open.result
          const names = ['session', 'points', 'acts', 'photos', 'kept']
          const tx = d.transaction(names)
          const counts = {}
          for (const n of names) tx.objectStore(n).count().onsuccess = (e) => (counts[n] = e.target.result)
          tx.oncomplete = () => say(counts)
        }
      }),
  )

/** account makes a user of the contractor's, and gives the one-time password. */
const account = async (name, display) => world.api('/users', { method: 'POST', body: { name, display, role: 'technician', units: ['lift-1'] } })

/** choose sets a password of one's own. */
async function choose({ page }, password) {
  await page.locator('#password-new').fill(password)
  await page.locator('#password-two').fill(password)
  await page.locator('form button.primary').click()
}

test('A technician signs on with an account: refusals in words, and a password of the own first', async () => {
  const phone = await openPhone(browser, { url: world.url, width: 390, height: 844, lang: 'en', theme: 'dark' })
  const { page } = phone
  const { one_time: once } = await account('wang.gong', '王工')
  await withAccount(phone, 'nobody', 'not the password')
  await page.getByText('User name, password or code is wrong.').waitFor()
  await until('tries are slowed', async () => {
    await page.locator('form button.primary:enabled').click()
    await page.locator('form button.primary:enabled').waitFor()
    return /Too many tries: again in \d+ s/.test(await page.getByRole('alert').innerText())
  })
  await accessible(phone, 'sign-on slowed')
  await withAccount(phone, 'wang.gong', once)
  await choose(phone, 'password1234')
  await page.getByText('This password is a common one').waitFor()
  await accessible(phone, 'a password of the own')
  await shoot(phone, 'sign-on-password')
  await choose(phone, wangs)
  await isIn(phone)
  await page.locator('[data-testid=tasks] a').first().waitFor()
  assert.equal(await page.evaluate(() => document.cookie), '', 'a script sees nothing of the session')
  await goTo(phone, '#/me')
  await page.getByRole('link', { name: 'My account' }).click()
  await page.locator('#passkey-name').waitFor()
  await accessible(phone, 'my account')
  await shoot(phone, 'account')
  await goTo(phone, '#/me')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('button', { name: 'Erase and sign out' }).click()
  await page.locator('#user').waitFor()
  await until('the session has ended', async () => (await world.api('/users/wang.gong/sessions')).items.length === 0)
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

const wangs = '天山路维保班组的长密码-1'
const zhaos = '另一位技术员的长密码-2026'

test('A session that ended loses nothing: the same person signs on again and it is sent, never as anybody else', async () => {
  const phone = await openPhone(browser, { url: world.url })
  const { page, context } = phone
  const { one_time: once } = await account('zhao.gong', '赵工')
  const [ticket] = (await world.api('/tasks', { token: technicianToken })).items
  const notes = async () => (await world.api(`/tickets/${ticket.id}/moves`)).items.filter((m) => m.verb === 'note').map((m) => [m.reason, m.by.name])
  const before = await notes()
  await withAccount(phone, 'wang.gong', wangs)
  await isIn(phone)
  await page.locator('[data-testid=tasks] a').first().waitFor()
  const note = async (text) => {
    await goTo(phone, '#/tasks/' + ticket.id)
    await page.getByRole('button', { name: '备注' }).click()
    await page.locator('#reason').fill(text)
    await page.locator('form button.primary').click()
  }
  await context.setOffline(true)
  await note('门锁已换')
  await queueIs(phone, { waiting: 1 })
  await world.api('/users/wang.gong/sessions', { method: 'DELETE' })
  await context.setOffline(false)
  await page.getByText('登录已失效').waitFor()
  await queueIs(phone, { waiting: 1 })

  await goTo(phone, '#/signon')
  await withAccount(phone, 'zhao.gong', once)
  await choose(phone, zhaos)
  await page.getByText('“王工 · 安捷维保”在本机再次登录后自动上传').waitFor()
  await accessible(phone, 'another person')
  await shoot(phone, 'other-person')
  await page.getByRole('button', { name: '保留，并以“赵工 · 安捷维保”登录' }).click()
  await page.locator('[data-testid=queue-chip][data-others="1"][data-waiting="0"]').waitFor()
  await page.locator('[data-testid=tasks] a').first().waitFor()
  assert.deepEqual(await notes(), before, 'nothing went out as another person')

  // Another window of this browser signs on as somebody else: the cookie is theirs, the act is not.
  const hold = (route) => (route.request().method() === 'POST' ? route.abort() : route.continue())
  await page.route('**/api/v1/tickets/**', hold)
  await note('赵工的备注')
  await queueIs(phone, { waiting: 1 })
  const other = await context.newPage()
  await other.goto('/m/licences.txt')
  assert.equal(await other.evaluate((password) => fetch('/api/v1/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ name: 'wang.gong', password }) }).then((r) => r.status), wangs), 200)
  await other.close()
  await page.unroute('**/api/v1/tickets/**', hold)
  await goTo(phone, '#/queue')
  await page.getByText('登录已失效').waitFor()
  await queueIs(phone, { waiting: 1 })
  assert.deepEqual(await notes(), before, 'not as who has the cookie')

  // Zhao leaves and keeps what is not sent; Wang, and then Zhao again: each sends their own.
  await goTo(phone, '#/me')
  await page.getByRole('button', { name: '退出登录' }).click()
  await accessible(phone, 'sign-out with unsent work')
  await shoot(phone, 'sign-out-keep')
  await page.getByRole('button', { name: '保留未上传的内容并退出' }).click()
  await page.getByText('赵工 · 安捷维保 未上传的 1 项').waitFor()
  assert.deepEqual(await kept(page), { session: 0, points: 0, acts: 2, photos: 0, kept: 0 })
  await withAccount(phone, 'wang.gong', wangs)
  await page.getByRole('button', { name: '保留，并以“王工 · 安捷维保”登录' }).click()
  await page.locator('[data-testid=queue-chip][data-others="1"][data-waiting="0"]').waitFor()
  await until('the first one’s note is there', async () => (await notes()).length === before.length + 1)
  await goTo(phone, '#/signon')
  await withAccount(phone, 'zhao.gong', zhaos)
  await page.locator('[data-testid=queue-chip][data-others="0"][data-waiting="0"]').waitFor()
  await until('both are there', async () => (await notes()).length === before.length + 2)
  assert.deepEqual((await notes()).slice(before.length), [['门锁已换', 'wang.gong'], ['赵工的备注', 'zhao.gong']])
  assert.deepEqual(phone.errors, [])
  await context.close()
})
