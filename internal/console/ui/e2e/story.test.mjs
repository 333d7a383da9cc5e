// A fire from its alarm to the closed ticket, by two persons at their desks and a unit, each of
// whom sees what the others have done without asking. The city's time runs sixty times as fast: the
// half hour of quiet after which such a ticket may be closed is half a minute.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBrowser, openDesk, openPlace, registry, shoot, sitDown, until, World } from './console-harness.mjs'
import { Hands } from './hands.mjs'
import { jpeg } from './harness.mjs'

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

/** openUnit is the unit's telephone, signed on to its inbox. */
async function openUnit() {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, baseURL: world.url, locale: 'zh-CN', timezoneId: 'Asia/Shanghai', reducedMotion: 'reduce' })
  context.setDefaultTimeout(30_000)
  const page = await context.newPage()
  const errors = []
  page.on('pageerror', (err) => errors.push(String(err)))
  await page.goto('/u/')
  await page.locator('[data-do=way]').click()
  await page.locator('#token').fill(fireToken)
  await page.locator('#name').fill('站员')
  await page.locator('form button.primary').click()
  await page.locator('nav a').first().waitFor()
  const press = (verb) => page.locator(`[data-verb=${verb}]`).click()
  const is = (state) => page.locator(`[data-testid=state][data-state=${state}]`).waitFor()
  return { context, page, errors, press, is, lang: 'zh', theme: 'light', width: 390 }
}

test('Two persons and a unit bring a fire from its alarm to the closed ticket, and each sees what the others do', async () => {
  const operator = await openDesk(browser, { url: world.url, search: '#/situation?view=list' })
  const lead = await openDesk(browser, { url: world.url, search: '#/alarms', lang: 'en', theme: 'light' })
  await sitDown(operator, { token: world.admin, name: '林' })
  await sitDown(lead, { token: world.admin, name: '陈', role: 'supervisor' })
  const unit = await openUnit()

  // The alarm comes to both desks, on whatever screen they are.
  await world.say('sn:smoke-1', { 'smoke.alarm': true, 'battery.level': 80, seq: 1 })
  const alarm = await until('the alarm is raised', async () => (await world.api('/alarms?type=smoke.alarm')).items[0])
  const row = `[data-alarm="${alarm.id}"]`
  await operator.page.locator(`[data-testid=queue] button[data-id="${alarm.id}"]`).waitFor()
  await lead.page.locator(row + '[data-state=UNACK]').waitFor()

  // The operator acknowledges, by keys alone; the lead sees it.
  const keys = operator.page.keyboard
  const hands = new Hands(operator)
  await openPlace(operator, '#/alarms')
  await operator.page.locator(row + '[data-state=UNACK]').waitFor()
  await keys.press('j')
  await keys.press('Enter')
  await operator.page.locator('aside .facts').waitFor()
  await keys.press('a')
  await until('it is acknowledged', async () => (await world.api('/alarms/' + alarm.id)).acked_by === '林')
  await lead.page.locator(row + '[data-state=ACK]').waitFor()

  // By keys alone too, another unit is sent beside the one that the rules have called.
  const ticket = alarm.ticket ?? (await until('it has a ticket', async () => (await world.api('/alarms/' + alarm.id)).ticket))
  await keys.press('t')
  await operator.page.getByTestId('moves').waitFor()
  await openPlace(lead, '#/tickets?ticket=' + ticket)
  await keys.press('d')
  const form = operator.page.getByTestId('move-form')
  await until('there are units to choose', () => form.locator('select option[value=lift-1]').count())
  await hands.choose(form.locator('select').first(), 'lift-1')
  await hands.to(form.locator('textarea'))
  await keys.type('查看配电间')
  await keys.press('Control+Enter')
  await until('it has its part', async () => (await world.api('/tickets/' + ticket)).assignments.some((x) => x.unit === 'lift-1'))
  await form.waitFor({ state: 'detached' })

  // The unit has its part in its own window: it takes it, and both desks see how far it is.
  await unit.page.locator(`[data-ticket="${ticket}"]`).first().click()
  await unit.is('dispatched')
  await unit.press('accept')
  for (const d of [operator, lead]) await stage(d, d.lang === 'zh' ? '处理' : 'Handled')
  await unit.press('arrive')
  await unit.is('in_progress')
  await unit.press('verify')
  await unit.page.locator('[data-finding=true]').click()
  await unit.page.locator('main input[type=file]').setInputFiles(await jpeg(unit, 800, 600))
  await unit.page.locator('[data-testid=add-photo]').click()
  await until('the picture is with the ticket', async () => (await world.api(`/tickets/${ticket}/evidence`)).items.length === 1)
  await world.say('sn:smoke-1', { 'smoke.alarm': false, seq: 2 })
  await unit.press('resolve')
  await unit.page.locator('#reason').fill('已开窗通风')
  await unit.page.locator('[data-send=resolve]').click()
  for (const d of [operator, lead]) await stage(d, d.lang === 'zh' ? '核查' : 'Checked')
  await shoot(operator, 'story-verify')
  await shoot(unit, 'story-unit')

  // Checked on the spot: the station says so by telephone, and the operator writes it down, by keys alone.
  await hands.press(operator.page.locator('[data-testid=moves] [data-verb=confirm]'))
  await hands.write(form.locator('input:not([type])').first(), '仙霞站带队员，现场电话')
  await hands.write(form.locator('textarea'), '现场无烟无火')
  await keys.press('Control+Enter')
  await form.waitFor({ state: 'detached' })

  // Then the sensor has to be quiet, and the gateway closes it by itself.
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
  for (const d of [operator, lead, unit]) {
    assert.deepEqual(d.errors, [])
    await d.context.close()
  }
})
