// Units at the desk in a real browser: a dead letter is seen with its cause, and sent again to a
// real endpoint.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { accessible, inAllLooks, openBrowser, openDesk, openPlace, pictures, registry, settled, shoot, sitDown, until, World } from './console-harness.mjs'

let world, browser, desk, endpoint
let answer = 410
const got = []
before(async () => {
  endpoint = createServer((req, res) => {
    req.resume()
    req.on('end', () => {
      got.push(req.headers['webhook-id'])
      res.writeHead(answer).end()
    })
  })
  await new Promise((go) => endpoint.listen(0, '127.0.0.1', go))
  const url = `http://127.0.0.1:${endpoint.address().port}/in`
  const units = registry.units.map((u) => (u.id === 'fire-1' ? { ...u, connector: 'webhook', url, secret: 'whsec_' + Buffer.from('0123456789abcdef0123456789abcdef').toString('base64') } : u))
  world = await World.open({ seed: { ...registry, units }, config: { dispatch: { allow_cidrs: ['127.0.0.0/8'], test_every: '2h' } } })
  browser = await openBrowser()
  desk = await openDesk(browser, { url: world.url })
  await sitDown(desk, { token: world.admin })
})
after(async () => {
  await browser?.close()
  await world?.close()
  endpoint?.close()
})

test('A dead letter is seen with its cause and sent again to the endpoint', async () => {
  const { page } = desk
  await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: 1 })
  const dead = await until('a letter is dead', async () => (await world.api('/deliveries?unit=fire-1&state=dead')).items[0])
  await openPlace(desk, '#/units')
  await page.getByText('仙霞微型消防站').first().waitFor()
  await accessible(desk, 'units')
  await shoot(desk, 'units')
  await openPlace(desk, `#/units?view=deliveries&delivery=${dead.id}`)
  await page.locator('[data-testid=delivery][data-state=dead]').waitFor()
  await page.getByText('地址不存在（410）').first().waitFor()
  await accessible(desk, 'a dead letter')
  await shoot(desk, 'units-dead')
  answer = 200
  const before = got.filter((id) => id === dead.id).length
  await page.locator('aside [data-testid=resend], [role=complementary] [data-testid=resend], [data-testid=resend]').last().click()
  await page.locator('[data-testid=resend-yes]').click()
  await page.locator('[data-testid=delivery][data-state=received]').waitFor()
  assert.equal(got.filter((id) => id === dead.id).length, before + 1)
  assert.deepEqual(desk.errors, [])
})

test('The number of a contact is read for a reason, which is kept; a refusal is said in Chinese, with the words of the server behind it', async () => {
  const { page } = desk
  const c = await world.api('/contacts', { method: 'POST', body: { of: 'unit:fire-1', role: 'duty_phone', channel: 'voice', number: '02155550123' } })
  await openPlace(desk, '#/units?unit=fire-1')
  const line = page.locator(`[data-contact="${c.id}"]`)
  await line.getByText('值班电话 · 电话').waitFor()
  assert.doesNotMatch(await line.textContent(), /5550123/, 'it is masked')
  await line.getByRole('button', { name: '查看号码' }).click()
  await line.getByRole('textbox').fill('通知演练时间')
  await accessible(desk, 'a reason for a number')
  await line.getByRole('textbox').press('Enter')
  await line.getByText('02155550123').waitFor()
  assert.match((await world.api(`/contacts/${c.id}/reads`)).items[0].why, /通知演练时间$/)
  await shoot(desk, 'units-number')
  await line.getByRole('button', { name: '收起' }).click()
  await world.api(`/contacts/${c.id}`, { method: 'DELETE', body: { reason: '离职', by: { name: '林', role: 'operator' } } })
  await line.getByRole('button', { name: '查看号码' }).click()
  await line.getByRole('textbox').fill('再次通知')
  await line.getByRole('textbox').press('Enter')
  const toast = page.locator('.toast.bad')
  await toast.getByText('未执行：联系人已删除：请新建').waitFor()
  await toast.locator('summary').click()
  await toast.getByText(/was erased/).waitFor()
  await shoot(desk, 'refusal')
  await toast.getByRole('button', { name: '关闭' }).click()
  assert.deepEqual(desk.errors, [])
})

const places = { units: '#/units', 'units-one': '#/units?unit=fire-1', 'units-deliveries': '#/units?view=deliveries&only=all' }

test('Units, one unit and deliveries are accessible in both languages and themes, and on a telephone', async () => {
  const judge = async () => {
    for (const [what, place] of Object.entries(places)) {
      await openPlace(desk, place)
      await settled(desk)
      await accessible(desk, what)
    }
  }
  await inAllLooks(desk, judge)
  await desk.page.setViewportSize({ width: 390, height: 844 })
  Object.assign(desk, { width: 390, height: 844 })
  await judge()
  assert.deepEqual(desk.errors, [])
})

test('Pictures of units and deliveries', { skip: !process.env.SHOTS && 'make web-shots makes them' }, () => pictures(desk, places))
