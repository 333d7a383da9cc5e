// A fire from its alarm to the closed ticket, by two persons at their desks and a unit, each of
// whom sees what the others have done without asking. The city's time runs sixty times as fast: the
// half hour of quiet after which such a ticket may be closed is half a minute.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBrowser, openDesk, openPlace, registry, shoot, sitDown, until, World } from './console-harness.mjs'

const fireToken = registry.units.find((u) => u.id === 'fire-1').token
let world, browser
const simulated = (list) => list.map((x) => ({ ...x, mode: 'simulated' }))
before(async () => {
  const { units, buildings, points, devices, installations } = registry
  const seed = { units: simulated(units), buildings: simulated(buildings), points: simulated(points), devices: simulated(devices), installations }
  world = await World.open({ seed, config: { simulation: { allowed: true, speed: 60 } } })
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

const stage = (desk, word) => desk.page.locator('[aria-current=step]', { hasText: word }).waitFor({ timeout: 20_000 })

test('Two persons and a unit bring a fire from its alarm to the closed ticket, and each sees what the others do', async () => {
  const operator = await openDesk(browser, { url: world.url, search: '#/situation?view=list' })
  const lead = await openDesk(browser, { url: world.url, search: '#/alarms', lang: 'en', theme: 'light' })
  await sitDown(operator, { token: world.admin, name: '林' })
  await sitDown(lead, { token: world.admin, name: '陈', role: 'supervisor' })

  // The alarm comes to both desks, on whatever screen they are.
  await world.say('sn:smoke-1', { 'smoke.alarm': true, 'battery.level': 80, seq: 1 })
  const alarm = await until('the alarm is raised', async () => (await world.api('/alarms?type=smoke.alarm')).items[0])
  const row = `[data-alarm="${alarm.id}"]`
  await operator.page.locator(`[data-testid=queue] button[data-id="${alarm.id}"]`).waitFor()
  await lead.page.locator(row + '[data-state=UNACK]').waitFor()

  // The operator acknowledges; the lead sees by whom.
  await openPlace(operator, '#/alarms?alarm=' + alarm.id)
  await operator.page.locator('aside .facts').waitFor()
  await operator.page.keyboard.press('a')
  await until('it is acknowledged', async () => (await world.api('/alarms/' + alarm.id)).acked_by === '林')
  await lead.page.locator(row + '[data-state=ACK]').waitFor()

  // The unit has its part by the rules: it takes it, and both desks see how far it is.
  const ticket = alarm.ticket ?? (await until('it has a ticket', async () => (await world.api('/alarms/' + alarm.id)).ticket))
  await openPlace(operator, '#/tickets?ticket=' + ticket)
  await openPlace(lead, '#/tickets?ticket=' + ticket)
  const unit = (body) => world.api(`/tickets/${ticket}/moves`, { method: 'POST', token: fireToken, body })
  await until('the unit has it among its own', async () => (await world.api('/tickets?state=open', { token: fireToken })).items.some((x) => x.id === ticket))
  await unit({ verb: 'accept' })
  for (const d of [operator, lead]) await stage(d, d.lang === 'zh' ? '处理' : 'Handled')
  await unit({ verb: 'arrive' })
  await world.say('sn:smoke-1', { 'smoke.alarm': false, seq: 2 })
  await unit({ verb: 'resolve', reason: '已开窗通风' })
  for (const d of [operator, lead]) await stage(d, d.lang === 'zh' ? '核查' : 'Checked')
  await shoot(operator, 'story-verify')

  // Checked on the spot; then the sensor has to be quiet, and the gateway closes it by itself.
  await unit({ verb: 'confirm', on_site: true, reason: '现场无烟无火' })
  for (let seq = 3; (await world.api('/tickets/' + ticket)).state !== 'closed' && seq < 60; seq++) {
    await world.say('sn:smoke-1', { 'smoke.alarm': false, seq }) // a sensor that says nothing is not quiet
    await new Promise((go) => setTimeout(go, 1_000))
  }
  for (const d of [operator, lead]) await stage(d, d.lang === 'zh' ? '结案' : 'Closed')
  assert.equal((await world.api('/tickets/' + ticket)).state, 'closed')
  await operator.page.getByRole('tab', { name: /全过程/ }).click()
  for (const what of ['frame', 'alarm', 'ticket', 'move', 'delivery', 'answer']) await operator.page.locator(`[data-testid=story] [data-step=${what}]`).first().waitFor()
  await shoot(operator, 'story-closed')

  // What is over stands in the queue no more.
  await openPlace(lead, '#/alarms')
  await lead.page.locator('[data-testid=queue] [data-alarm]').first().waitFor()
  await lead.page.locator(row).waitFor({ state: 'detached' })
  for (const d of [operator, lead]) {
    assert.deepEqual(d.errors, [])
    await d.context.close()
  }
})
