// A maintenance window, and the question that an alarm in it asks.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, goTo, openBrowser, openPhone, shoot, signOn, until, World } from './harness.mjs'

let world, browser
before(async () => {
  world = await World.open()
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

/** A window over the smoke point, opened on the screen as a technician does. */
async function openWindow(phone) {
  const { page } = phone
  const zh = phone.lang === 'zh'
  await goTo(phone, '#/windows/new?point=p-smoke')
  await page.locator('.card.row').waitFor()
  await page.locator('#why').fill('季度测试')
  await page.getByRole('button', { name: zh ? '打开窗口' : 'Open the window' }).click()
  await page.locator('[data-window]').waitFor()
}

const alarm = async () => (await world.api('/alarms?point=p-smoke&type=smoke.alarm')).items[0]

test('An alarm in a window asks the technician, yes makes it a test, and the window is extended and ended', async () => {
  const phone = await openPhone(browser, { url: world.url })
  const { page } = phone
  await signOn(phone)
  await openWindow(phone)
  await accessible(phone, 'windows')
  await shoot(phone, 'window-open')
  await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: 1 })
  await page.getByRole('dialog').waitFor()
  await accessible(phone, 'question')
  await shoot(phone, 'question')
  await page.getByRole('button', { name: /是，我在测试/ }).click()
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  const a = await until('the alarm is a test', async () => {
    const x = await alarm()
    return x?.cover?.state === 'test' && x
  })
  assert.equal(a.cover.by, '王工')
  assert.equal((await world.api('/tickets?type=smoke.alarm')).items.length, 0, 'nobody was called')
  const [w] = (await world.api('/windows?state=open')).items
  await page.getByRole('button', { name: '延长 10 分钟' }).click()
  await until('the window is longer', async () => Date.parse((await world.api('/windows/' + w.id)).to) > Date.parse(w.to))
  await world.say('sn:smoke-1', { 'smoke.alarm': false, seq: 2 })
  await page.getByRole('button', { name: '结束窗口' }).click()
  await page.locator('[data-window]').waitFor({ state: 'detached' })
  assert.ok((await world.api('/windows/' + w.id)).ended)
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

test('No calls help at once, also after the page was loaded again in the midst of the question', async () => {
  const phone = await openPhone(browser, { url: world.url, lang: 'en', theme: 'dark', width: 412, height: 915 })
  const { page } = phone
  await signOn(phone)
  await openWindow(phone)
  await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: 3 })
  await page.getByRole('dialog').waitFor()
  await page.reload()
  await page.getByRole('dialog').waitFor()
  await accessible(phone, 'question')
  await shoot(phone, 'question')
  await page.getByRole('button', { name: /NO/ }).click()
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  await until('help is called', async () => (await world.api('/tickets?type=smoke.alarm')).items.length === 1)
  await phone.context.close()
})
