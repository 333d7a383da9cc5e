// Without the server: it is killed, the page is loaded again, work goes on, and when the
// server is back each act is there exactly once.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, goTo, jpeg, Line, openBrowser, openPhone, queueIs, shoot, signOn, technicianToken, until, World } from './harness.mjs'

let world, browser, round
before(async () => {
  world = await World.open()
  browser = await openBrowser()
  await world.say('sn:smoke-1', { tamper: true, seq: 1 })
  await until('the tickets are there', async () => (await world.api('/tasks', { token: technicianToken })).items.length === 3)
  // Its two tickets of P4 are a round of two stops.
  round = (await world.api('/rounds/plan', { method: 'POST', token: technicianToken, body: {}, key: 'plan-1' })).rounds[0]
  assert.equal(round.stops.length, 2)
})
after(async () => {
  await browser?.close()
  await world?.close()
})

const moves = async (ticket) => (await world.api(`/tickets/${ticket}/moves`)).items
const tickets = async () => (await world.api('/tasks', { token: technicianToken })).items
const ticketAt = async (point) => (await tickets()).find((x) => x.point === point)

async function openTicket(phone, id) {
  await goTo(phone, '#/tasks/' + id)
  await phone.page.locator('[data-testid=state]').waitFor()
}

async function note(phone, text) {
  await phone.page.getByRole('button', { name: '备注' }).click()
  await phone.page.locator('#reason').fill(text)
  await phone.page.locator('form button.primary').click()
}

test('With the server killed the app loads again, takes work, and syncs it once', async () => {
  const phone = await openPhone(browser, { url: world.url })
  const { page } = phone
  await signOn(phone)
  await page.locator('[data-testid=tasks] a').first().waitFor()
  await goTo(phone, '#/me')
  await page.locator('[data-testid=pack]').waitFor()
  const a = await ticketAt('p-smoke')
  const before = (await moves(a.id)).length

  await world.kill()
  await page.reload()
  await page.locator('[data-testid=pack]').waitFor()
  await page.locator('.net.offline').waitFor()
  await goTo(phone, '#/tasks')
  await page.locator('[data-testid=tasks] a').first().waitFor()
  assert.equal(await page.locator('[data-testid=tasks] a').count(), 3, 'the tasks are on the phone')
  await accessible(phone, 'tasks offline')
  await shoot(phone, 'tasks-offline')

  await openTicket(phone, a.id)
  await page.getByRole('button', { name: '接单' }).click()
  await queueIs(phone, { waiting: 1 })
  await page.getByRole('button', { name: '到场' }).click()
  await queueIs(phone, { waiting: 2 })
  await note(phone, '外壳完好，螺丝松动')
  await queueIs(phone, { waiting: 3 })
  await accessible(phone, 'task offline')
  await shoot(phone, 'task-offline')
  await page.reload()
  await queueIs(phone, { waiting: 3 })
  await goTo(phone, '#/queue')
  await page.locator('[data-act]').first().waitFor()
  await accessible(phone, 'queue offline')
  await shoot(phone, 'queue-offline')

  await world.start()
  await queueIs(phone, { waiting: 0 })
  const now = (await moves(a.id)).slice(before)
  assert.deepEqual(now.filter((m) => m.by.role === 'unit').map((m) => m.verb), ['accept', 'arrive', 'note'], 'each act once and in order')
  await page.reload()
  await queueIs(phone, { waiting: 0 })
  assert.equal((await moves(a.id)).slice(before).filter((m) => m.by.role === 'unit').length, 3, 'nothing is sent again')
  await shoot(phone, 'queue-synced')
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

test('An answer that is lost on the way doubles nothing', async () => {
  const line = await Line.open(world)
  const phone = await openPhone(browser, { url: line.url })
  await signOn(phone)
  const b = await ticketAt('p-door')
  await phone.page.locator('[data-testid=tasks] a').first().waitFor()
  await openTicket(phone, b.id)
  const before = (await moves(b.id)).length
  line.lose = (req) => req.method === 'POST' && line.lost < 2
  await note(phone, '楼道照明不亮')
  await until('two answers are lost', () => line.lost === 2)
  await queueIs(phone, {})
  const now = (await moves(b.id)).slice(before)
  assert.equal(now.length, 1, 'the note stands once')
  assert.equal(now[0].reason, '楼道照明不亮')
  await phone.context.close()
  line.close()
})

test('A conflict shows both sides, and ends with the server’s', async () => {
  const phone = await openPhone(browser, { url: world.url })
  const { page } = phone
  await signOn(phone)
  const [stop] = round.stops
  await goTo(phone, '#/rounds/' + round.id)
  await page.locator('[data-stop]').first().waitFor()
  await accessible(phone, 'round')
  await shoot(phone, 'round')
  await phone.context.setOffline(true)
  await goTo(phone, `#/rounds/${round.id}/no-entry/${stop.n}`)
  await page.getByRole('button', { name: '保存' }).click()
  await queueIs(phone, { waiting: 1 })
  // Meanwhile a colleague was let in.
  await world.api(`/rounds/${round.id}/stops/${stop.n}/done`, { method: 'POST', token: technicianToken, key: 'colleague', body: { by: { name: '李工', role: 'technician' } } })
  await phone.context.setOffline(false)
  await queueIs(phone, { refused: 1 })
  await goTo(phone, '#/queue')
  const card = page.locator('[data-state=refused]')
  await card.getByText(`第 ${stop.n} 站已经完成`).waitFor()
  await card.getByText('服务器现状').waitFor()
  await card.getByText('服务器说明').click()
  await card.getByText('is done already').waitFor()
  await card.locator('section').nth(1).locator('dl').waitFor()
  await accessible(phone, 'conflict')
  await shoot(phone, 'conflict')
  await card.getByRole('button', { name: '丢弃' }).click()
  await page.getByRole('dialog').waitFor()
  await accessible(phone, 'drop')
  await shoot(phone, 'drop')
  await page.getByRole('button', { name: '取消' }).click()
  await card.getByRole('button', { name: '采用服务器的内容' }).click()
  await queueIs(phone, {})
  assert.equal((await world.api('/no-entries')).items.length, 0, 'the no-entry was not made')
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})

test('A visit where nobody opened is kept with its photo and next date, and sent once', async () => {
  const phone = await openPhone(browser, { url: world.url, width: 412, height: 915 })
  const { page } = phone
  await signOn(phone)
  await goTo(phone, '#/rounds/' + round.id)
  await page.locator('[data-stop]').first().waitFor()
  await world.kill()
  await page.reload()
  await page.locator('[data-stop]').first().waitFor()
  await page.getByRole('link', { name: '未能入户' }).first().click()
  await page.locator('input[type=file]').setInputFiles(await jpeg(phone))
  await page.locator('img').waitFor()
  await accessible(phone, 'no entry')
  await shoot(phone, 'no-entry')
  await page.getByRole('button', { name: '保存' }).click()
  await queueIs(phone, { waiting: 2 })
  await world.start()
  await queueIs(phone, {})
  const kept = (await world.api('/no-entries')).items
  assert.equal(kept.length, 1, 'one no-entry')
  assert.ok(kept[0].photo, 'with its photo')
  assert.match(kept[0].reason, /无人应门/)
  assert.deepEqual(phone.errors, [])
  await phone.context.close()
})
