// The console's shell: sign-on, the live line, a server that is killed and comes back, the
// palette, the wall, the system page, and every page in every look.
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { accessible, inAllLooks, isLive, openBrowser, openDesk, openPlace, pictures, registry, shoot, sitDown, sizes, until, World } from './console-harness.mjs'

const screens = ['situation', 'alarms', 'tickets', 'points', 'devices', 'units', 'figures', 'duty', 'system']
const views = ['system?view=links', 'system?view=ledger', 'system?view=config', 'system?view=audit']

let world, browser
before(async () => {
  world = await World.open()
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

afterEach(() => Promise.all(browser.contexts().map((c) => c.close()))) // what a failed test has left

/** A desk at the system page: it draws no map. */
async function desk(more = {}) {
  const d = await openDesk(browser, { url: world.url, search: '#/system', ...more })
  await sitDown(d, { token: world.admin })
  return d
}

/** done closes a desk that has thrown nothing and asked of no other origin. */
async function done(d) {
  assert.deepEqual(d.errors, [])
  await d.context.close()
}

test('A wrong token is refused in words, that of a unit is not for the desk, and the right one signs on', async () => {
  const d = await openDesk(browser, { url: world.url, search: '#/system' })
  const { page } = d
  await accessible(d, 'sign-on')
  await page.locator('[data-do=way]').click()
  await accessible(d, 'sign-on with a token')
  await page.locator('#name').fill('林')
  await page.locator('#token').fill('wrong')
  await page.locator('form button.primary').click()
  await page.getByText('令牌无效').waitFor()
  await accessible(d, 'sign-on refused')
  await page.locator('#token').fill(registry.units[1].token)
  await page.locator('form button.primary').click()
  await page.getByText('这是处置单位的令牌').waitFor()
  await sitDown(d, { token: world.admin })
  await page.reload()
  await isLive(d) // it is kept for this tab
  await page.locator('.tools [aria-haspopup=menu]').click()
  await page.getByRole('menuitem', { name: '退出登录' }).click()
  await page.locator('#user').waitFor()
  assert.equal(await page.evaluate(() => sessionStorage.length + (localStorage['gridgate.console'] ? 1 : 0)), 0)
  await done(d)
})

test('What happens is shown without a reload, and a killed server is shown as lost and then right again', async () => {
  const d = await desk()
  const { page } = d
  await page.locator('[data-testid=link][data-health=live]').waitFor()
  const open = page.getByTestId('open')
  const before = Number(await open.textContent())
  await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: 1 })
  await until('the alarm is counted', async () => Number(await open.textContent()) > before)
  await until('it is the worst', async () => (await page.getByTestId('worst').textContent()).includes('烟感报警'))
  await until('its place is named', async () => (await page.getByTestId('worst').textContent()).includes('配电间烟感'))

  // The desk itself measures from the moment at which its stream broke.
  await page.evaluate(() => {
    const line = document.querySelector('[data-testid=line]')
    new MutationObserver(() => { if (line.dataset.link === 'lost') globalThis.lostAt ??= Date.now() }).observe(line, { attributes: true })
  })
  const killed = Date.now()
  await world.kill()
  await page.locator('[data-testid=link][data-health=lost]').waitFor()
  await page.getByTestId('lost').waitFor()
  const took = (await page.evaluate(() => globalThis.lostAt)) - killed
  console.log(`loss shown ${took} ms after the gateway was killed`)
  assert.equal(await page.locator('[data-health=live]').count(), 0)
  await accessible(d, 'lost')
  await shoot(d, 'lost')

  await world.start()
  await isLive(d)
  assert.equal(await page.getByTestId('lost').count(), 0)
  const truth = await world.api('/alarms/queue')
  await until('the count is the server\'s', async () => Number(await open.textContent()) === truth.alarms)
  await done(d)
})

test('What happens while a page is blind is right afterwards: an alarm that was raised, one that was seen, a ticket that was moved', async () => {
  await world.say('sn:door-1', { tamper: true, seq: 1 })
  const alarm = async (type, point) => (await world.api(`/alarms?type=${type}&point=${point}`)).items.find((a) => a.point === point && a.active)
  const door = await until('the door has a ticket', async () => { const a = await alarm('device.tamper', 'p-door'); return a?.ticket && a })
  const queue = await desk({ search: '#/alarms' })
  const tickets = await desk({ search: '#/tickets?ticket=' + door.ticket, lang: 'en', theme: 'light' })
  const row = (id) => queue.page.locator(`[data-testid=queue] [data-alarm="${id}"]`)
  await row(door.id).and(queue.page.locator('[data-state=UNACK]')).waitFor()
  await tickets.page.getByTestId('moves').waitFor()

  await world.kill()
  for (const d of [queue, tickets]) {
    await d.page.getByTestId('lost').waitFor()
    await d.context.setOffline(true) // it stays blind while the gateway lives again
  }
  await world.start()
  await world.say('sn:cover-1', { 'manhole.open': true, seq: 1 })
  const cover = await until('the cover is open', () => alarm('manhole.open', 'p-cover'))
  await world.api(`/alarms/${door.id}/ack`, { method: 'POST', body: { revision: door.revision, by: { name: '吴', role: 'operator' } } })
  const before = await world.api('/tickets/' + door.ticket)
  const part = before.assignments.find((x) => x.state === 'dispatched')
  await world.api(`/tickets/${door.ticket}/moves`, { method: 'POST', body: { verb: 'accept', assignment: part.id, attempt: part.attempt, source: '电话', by: { name: '吴', role: 'operator' } } })
  assert.equal(await row(cover.id).count(), 0, 'the page is blind')

  for (const d of [queue, tickets]) await d.context.setOffline(false)
  for (const d of [queue, tickets]) await isLive(d)
  await row(cover.id).and(queue.page.locator('[data-state=UNACK]')).waitFor()
  await row(door.id).and(queue.page.locator('[data-state=ACK]')).waitFor()
  await tickets.page.locator('[aria-current=step]', { hasText: 'Handled' }).waitFor()
  await tickets.page.locator('[data-verb=arrive]').waitFor() // what may be done now, and no more what could be done before
  assert.equal(await tickets.page.locator('[data-verb=accept]').count(), 0)
  await until('every open ticket is on the board once', async () => (await tickets.page.locator('[data-testid=board] [data-ticket]').count()) === (await world.api('/tickets?state=open&limit=200')).items.length)
  await done(queue)
  await done(tickets)
})

test('A server that is frozen, and whose line seems to stand, is lost too', async () => {
  const d = await desk()
  world.child.kill('SIGSTOP')
  try {
    await d.page.locator('[data-testid=link][data-health=lost]').waitFor()
  } finally {
    world.child.kill('SIGCONT')
  }
  await isLive(d)
  await done(d)
})

test('The palette finds a screen, a point, a device and a unit, by the keyboard alone', async () => {
  const d = await desk()
  const { page } = d
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox', { name: '查找与跳转' }).waitFor()
  await accessible(d, 'palette')
  await page.keyboard.type('5号楼')
  await page.getByRole('option', { name: /5号楼 6F 走廊烟感/ }).waitFor()
  await shoot(d, 'palette')
  await page.keyboard.press('Enter')
  await until('the point is the place', () => page.evaluate(() => location.hash === '#/points?point=p-new'))
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox', { name: '查找与跳转' }).waitFor()
  await page.keyboard.type('sn:door')
  await page.getByRole('option', { name: /sn:door-1/ }).waitFor()
  await page.getByRole('combobox', { name: '查找与跳转' }).fill('微型消防')
  await page.getByRole('option', { name: /仙霞微型消防站/ }).waitFor()
  await page.keyboard.press('Enter')
  await until('the unit is the place', () => page.evaluate(() => location.hash === '#/units?unit=fire-1'))
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox', { name: '查找与跳转' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('combobox', { name: '查找与跳转' }).waitFor({ state: 'detached' })
  await page.evaluate(() => document.activeElement?.blur()) // a screen may have given its field the focus, and there g is a letter
  await page.keyboard.press('g')
  await page.keyboard.press('y')
  await page.getByRole('heading', { level: 1, name: '系统' }).waitFor()
  await page.keyboard.press('?')
  await page.getByRole('heading', { name: '键盘' }).waitFor()
  await accessible(d, 'help')
  await page.keyboard.press('Escape')
  await page.getByRole('heading', { name: '键盘' }).waitFor({ state: 'detached' })
  await done(d)
})

test('On a telephone the chosen entry of the rail is in sight, and every column of a table', async () => {
  const d = await desk({ width: 390, height: 844 })
  const { page } = d
  const within = (what) => page.locator(what).last().evaluate((el) => { const r = el.getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth })
  for (const place of ['system', 'situation', 'figures']) {
    await openPlace(d, '#/' + place)
    await until(place + ' is in sight in the rail', () => within(`nav a[href="#/${place}"][aria-current=page]`))
  }
  for (const place of ['points', 'devices', 'units', 'tickets?view=list']) {
    await openPlace(d, '#/' + place)
    await page.getByRole('columnheader').first().waitFor()
    await until('the last column of ' + place + ' is in sight', () => within('[role=columnheader]'))
  }
  await done(d)
})

test('The wall shows and takes no deeds: no rail, no log-out, no palette, also after a reload', async () => {
  const d = await openDesk(browser, { url: world.url, width: 1920, height: 1080, search: '?wall=1#/system?view=links' })
  const { page } = d
  await sitDown(d, { token: world.admin })
  await page.reload()
  await isLive(d)
  assert.equal(await page.locator('nav, .tools').count(), 0)
  await page.keyboard.press('Control+k')
  assert.equal(await page.getByRole('combobox', { name: '查找与跳转' }).count(), 0)
  assert.match(page.url(), /wall=1#\/system\?view=links/)
  await accessible(d, 'wall')
  await shoot(d, 'wall')
  await done(d)
})

test('The shell and the system page have no violations in any language and theme', async () => {
  const d = await desk()
  await inAllLooks(d, async () => {
    await isLive(d)
    for (const at of ['system', ...views]) {
      await openPlace(d, '#/' + at)
      await d.page.locator('[role=tabpanel] > *').first().waitFor()
      await accessible(d, at)
    }
  })
  await done(d)
})

// make web-shots: pictures of every page for a person to look at.
test('Pictures of every page', { skip: !process.env.SHOTS && 'make web-shots makes them' }, async () => {
  const d = await openDesk(browser, { url: world.url })
  for (const [width, height] of sizes) {
    Object.assign(d, { width, height })
    await d.page.setViewportSize({ width, height })
    await shoot(d, 'sign-on')
  }
  await sitDown(d, { token: world.admin })
  await pictures(d, Object.fromEntries([...screens, ...views].map((at) => [at.replace('?view=', '-'), '#/' + at])))
  await done(d)
})
