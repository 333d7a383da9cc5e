// Sign-on, the screens of the shell in both languages and themes, and what sign-out does.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, goTo, openBrowser, openPhone, queueIs, shoot, signOn, until, World } from './harness.mjs'

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
  const left = await page.evaluate(
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
  assert.deepEqual(left, { session: 0, points: 0, acts: 0, photos: 0, kept: 0 })
  await context.close()
})
