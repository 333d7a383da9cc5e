// Alarms and tickets at the desk: a fire from its frame to the closed ticket with keys alone,
// a flood, the sound, and the looks of every screen.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, inAllLooks, isLive, openBrowser, openDesk, openPlace, registry, shoot, sitDown, sizes, until, World } from './console-harness.mjs'

const fireToken = 'fire-token-0123456789abcdef0123'
const units = [...registry.units, { id: 'prop-1', name: '仙霞物业', kind: 'property', tier: 2, district: '310105', mode: 'live', connector: 'inbox', token: 'prop-token-0123456789abcdef0123' }]

/** Many doors, for the flood. */
const flood = Array.from({ length: 500 }, (_, i) => i)
const seed = {
  ...registry, units,
  points: [...registry.points, ...flood.map((i) => ({ ...registry.points[1], id: 'f-' + i, name: `${i} 号门`, cell: '31010500500100' + (i % 5), building: 'b-' + (i % 20) }))],
  devices: [...registry.devices, ...flood.map((i) => ({ identity: 'sn:f-' + i, profile: 'gridgate/json', mode: 'live' }))],
  installations: [...registry.installations, ...flood.map((i) => ({ device: 'sn:f-' + i, channel: 'main', point: 'f-' + i, from: new Date(Date.now() - 60_000).toISOString() }))],
}

let world, browser
before(async () => {
  world = await World.open({ seed })
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

const move = (ticket, body, token) => world.api(`/tickets/${ticket}/moves`, { method: 'POST', token, body })
let frames = 100
/** burning is an open ticket of smoke, whatever the tests before have left. */
async function burning() {
  await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: frames++ })
  return until('a fire', async () => (await world.api('/tickets?state=open&type=smoke.alarm')).items[0])
}
const ring = (desk, what) => desk.page.locator(`[data-testid=sound][data-ring=${what}]`).first().waitFor()
const focused = (desk) => desk.page.evaluate(() => document.activeElement?.getAttribute('data-testid') ?? document.activeElement?.tagName)

test('A fire goes from its frame to the closed ticket by keys alone, and is heard until it is acknowledged', async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  await openPlace(desk, '#/alarms')
  const banner = page.locator('[data-testid=sound][data-sound=off]').first()
  await banner.waitFor()
  assert.equal(await banner.getAttribute('role'), 'alert', 'a sound that is not armed is said loudly')
  await banner.getByRole('button').focus()
  await page.keyboard.press('Enter')
  await page.locator('[data-testid=sound][data-sound=armed]').first().waitFor()

  await world.say('sn:smoke-1', { 'smoke.alarm': true, 'battery.level': 80, seq: 1 })
  const row = page.locator('[data-testid=queue] [data-alarm]').first()
  await page.locator('[data-testid=queue] [data-alarm][data-state=UNACK] >> text=/烟雾报警|烟感报警/').first().waitFor()
  await ring(desk, 'p1')
  assert.equal(await row.getAttribute('data-state'), 'UNACK', 'the smoke alarm is the first line')
  await shoot(desk, 'alarms-ringing')

  await page.keyboard.press('j')
  assert.equal(await focused(desk), 'queue')
  await page.keyboard.press('Enter')
  await page.locator('aside h2').first().waitFor()
  await shoot(desk, 'alarm-open')
  await page.keyboard.press('a')
  await page.locator('[data-testid=queue] [data-alarm][data-state=ACK]').first().waitFor()
  await ring(desk, 'none')
  const alarm = (await world.api('/alarms?point=p-smoke&type=smoke.alarm')).items[0]
  assert.equal(alarm.acked_by, '林')

  await page.keyboard.press('t')
  await page.locator('[data-testid=moves]').waitFor()
  const ticket = alarm.ticket
  await shoot(desk, 'ticket-open')
  await page.keyboard.press('d')
  const form = page.locator('[data-testid=move-form]')
  await form.waitFor()
  await until('the unit stands to be chosen', () => form.locator('select option[value=prop-1]').count())
  await page.keyboard.press('ArrowDown') // a closed list changes by arrows
  await form.locator('select').first().selectOption('prop-1') // which arrow leads where is the browser's own
  await form.locator('textarea').focus()
  await page.keyboard.type('打开大门')
  await page.keyboard.press('Control+Enter')
  await until('the property has its part', async () => (await world.api('/tickets/' + ticket)).assignments.some((a) => a.unit === 'prop-1'))
  await form.waitFor({ state: 'detached' })

  for (const verb of ['accept', 'arrive', 'resolve']) await move(ticket, { verb }, fireToken)
  await page.locator('[aria-current=step]', { hasText: '核查' }).waitFor()
  await move(ticket, { verb: 'confirm', on_site: true, reason: '锅烧糊了，已清理' }, fireToken)
  await page.getByRole('tab', { name: /全过程/ }).click()
  await page.locator('[data-testid=story] [data-step=frame] pre').first().waitFor()
  const raw = await page.locator('[data-testid=story] [data-step=frame] pre').first().textContent()
  assert.match(raw, /^7b 22 73/, 'the raw bytes are there')
  for (const step of ['decoded', 'event', 'alarm', 'ticket', 'move', 'delivery', 'answer']) assert.ok(await page.locator(`[data-testid=story] [data-step=${step}]`).count(), step)
  await shoot(desk, 'ticket-story')

  // The rest is the sensor's: half an hour of quiet. Two supervisors close it at once instead.
  const other = await openDesk(browser, { url: world.url })
  await sitDown(other, { token: world.admin, name: '陈', role: 'supervisor' })
  await openPlace(other, '#/tickets?ticket=' + ticket)
  await forceClose(other)
  await page.getByRole('tab', { name: /处置/ }).click()
  await page.getByText('请求强制结案').waitFor()
  assert.ok(await page.locator('[data-verb=force_close]').isDisabled(), 'an operator cannot agree')
  const third = await openDesk(browser, { url: world.url })
  await sitDown(third, { token: world.admin, name: '吴', role: 'supervisor' })
  await openPlace(third, '#/tickets?ticket=' + ticket)
  await third.page.getByText('请求强制结案').waitFor()
  await forceClose(third)
  await page.locator('[aria-current=step]', { hasText: '结案' }).waitFor()
  assert.equal((await world.api('/tickets/' + ticket)).state, 'forced_close')
  await world.say('sn:smoke-1', { 'smoke.alarm': false, seq: 2 })
  for (const d of [desk, other, third]) {
    assert.deepEqual(d.errors, [])
    await d.context.close()
  }
})

async function forceClose({ page }) {
  await page.locator('[data-verb=force_close]').click()
  const form = page.locator('[data-testid=move-form]')
  await form.locator('textarea').fill('演习结束，现场已查看')
  await form.locator('button').first().click()
  await form.waitFor({ state: 'detached' })
}

test('A desk that was armed says loudly after a reload that nothing is heard', async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  await openPlace(desk, '#/alarms')
  await page.locator('[data-testid=sound]').first().getByRole('button').click()
  await page.locator('[data-testid=sound][data-sound=armed]').first().waitFor()
  await page.reload()
  await page.locator('[data-testid=sound][data-sound=blocked][role=alert]').first().waitFor()
  await shoot(desk, 'sound-blocked')
  await page.locator('[data-testid=sound]').first().getByRole('button').click()
  await page.locator('[data-testid=sound][data-sound=armed]').first().waitFor()
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('A call that only a person can make stays until it is said who answered', async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  await world.say('sn:door-1', { tamper: true, seq: 1 })
  const ticket = await until('a ticket', async () => (await world.api('/tickets?state=tasks')).items.find((x) => (x.tasks ?? []).some((k) => !k.done)) ?? (await world.api('/tickets?type=device.tamper')).items[0])
  await openPlace(desk, '#/tickets?ticket=' + ticket.id)
  await page.locator('[data-testid=moves]').waitFor()
  for (const b of await page.locator('.task button').all()) assert.doesNotMatch((await b.textContent()) ?? '', /忽略|关闭|删除/)
  await page.keyboard.press('c')
  const form = page.locator('[data-testid=move-form]')
  await form.locator('button').first().click()
  await form.getByRole('alert').waitFor()
  await form.locator('textarea').fill('已通知居委会')
  await form.locator('button').first().click()
  await form.waitFor({ state: 'detached' })
  await until('the note is in the history', async () => (await world.api(`/tickets/${ticket.id}/moves`)).items.some((m) => m.verb === 'note' && m.reason === '已通知居委会' && m.by.name === '林'))
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('Five hundred alarms in a minute leave the desk usable, and the first smoke on top', async () => {
  const desk = await openDesk(browser, { url: world.url, width: 1920, height: 1080 })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  await openPlace(desk, '#/alarms')
  await page.evaluate(() => {
    window.__delays = []
    new PerformanceObserver((l) => { for (const e of l.getEntries()) window.__delays.push({ name: e.name, wait: e.processingStart - e.startTime, whole: e.duration }) }).observe({ type: 'event', durationThreshold: 16, buffered: true })
    window.__keys = 0
    addEventListener('keydown', () => window.__keys++, true)
    window.__longest = 0
    new PerformanceObserver((l) => { for (const e of l.getEntries()) window.__longest = Math.max(window.__longest, e.duration) }).observe({ type: 'longtask' })
  })
  const begun = Date.now()
  const pump = (async () => {
    for (let i = 0; i < flood.length; i += 5) await Promise.all(flood.slice(i, i + 5).map((n) => world.say('sn:f-' + n, { tamper: true, seq: 1 })))
    await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: 50 })
  })()
  let keys = 0
  const typed = (async () => {
    let over = false
    void pump.finally(() => (over = true))
    while (!over) {
      await page.keyboard.press(keys++ % 3 ? 'j' : 'k')
      await new Promise((go) => setTimeout(go, 100))
    }
  })()
  await Promise.all([pump, typed])
  const took = (Date.now() - begun) / 1000
  await page.locator('.flood').waitFor()
  const q = await until('the smoke is in the queue', async () => {
    const got = await world.api('/alarms/queue?limit=1000')
    return got.entries[0].alarm?.type === 'smoke.alarm' && got
  })
  await until('it is the first line', async () => (await page.locator('[data-testid=queue] [data-alarm], [data-testid=queue] [data-group]').first().getAttribute('data-alarm')) === q.entries[0].alarm.id)
  const seen = await page.evaluate(() => ({ delays: window.__delays, keys: window.__keys, longest: window.__longest, rows: document.querySelectorAll('[data-testid=queue] .line').length }))
  const waits = seen.delays.filter((d) => d.name === 'keydown').map((d) => d.wait)
  const worst = Math.max(0, ...waits)
  const late = Math.max(0, ...seen.delays.filter((d) => d.name === 'keydown').map((d) => d.whole))
  console.log(`flood: ${q.alarms} alarms in the queue, ${took.toFixed(0)} s of frames, ${seen.keys} keys; worst wait of a key before it is handled ${worst.toFixed(0)} ms, until it is painted ${late.toFixed(0)} ms, longest task ${seen.longest.toFixed(0)} ms, ${seen.rows} lines in the document`)
  assert.ok(q.alarms >= 500, `${q.alarms} alarms`)
  assert.ok(seen.rows < 80, 'only what is in sight is in the document')
  assert.ok(worst < 1_000, `a key waited ${worst} ms`)
  await shoot(desk, 'flood')
  await page.locator('[data-group]').first().click()
  await page.locator('.line.member').first().waitFor()
  await shoot(desk, 'flood-open')
  // All of a group at once, each as it was shown.
  await page.locator('[data-group] .box').first().click()
  await page.keyboard.press('a')
  await until('they are acknowledged', async () => (await world.api('/alarms/queue?limit=1000')).unacked < q.unacked)
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('What is shelved stands under what is held back, and ends by undo', async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  const a = await until('an alarm of P3 or P4', async () => (await world.api('/alarms?state=active&point=p-cover')).items[0])
  await openPlace(desk, '#/alarms?alarm=' + a.id)
  await page.locator('aside').waitFor()
  await page.locator('aside .facts').waitFor()
  await page.keyboard.press('s')
  const form = page.locator('aside form')
  await form.locator('textarea').fill('等待换电池')
  await page.keyboard.press('Control+Enter')
  const shelf = await until('it is shelved', async () => (await world.api('/windows?state=open&kind=shelved')).items.find((w) => w.reason === '等待换电池'))
  assert.deepEqual([shelf.points, shelf.types, shelf.by.name], [['p-cover'], [a.type], '林'])
  await page.keyboard.press('Escape')
  await openPlace(desk, '#/alarms?view=held')
  await page.getByRole('gridcell', { name: '等待换电池' }).waitFor()
  await accessible(desk, 'held back')
  await shoot(desk, 'alarms-held')
  await page.locator('.toast').getByRole('button', { name: '撤销' }).click().catch(() => page.getByRole('button', { name: '立即结束' }).first().click())
  await until('it has ended', async () => !!(await world.api('/windows/' + shelf.id)).ended)
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('The screens of alarms and tickets are accessible in both languages and themes, and a ticket prints', async () => {
  const desk = await openDesk(browser, { url: world.url })
  const { page } = desk
  await sitDown(desk, { token: world.admin })
  const fire = await burning()
  await inAllLooks(desk, async () => {
    await isLive(desk)
    for (const [what, hash, wait] of [
      ['alarms', '#/alarms', '[data-testid=queue] .line'], ['alarm', '#/alarms?alarm=' + fire.alarm, 'aside .facts'], ['alarms-past', '#/alarms?view=past', '[role=row] time'], ['alarms-health', '#/alarms?view=health', '.card h2'],
      ['tickets', '#/tickets', '[data-ticket]'], ['tickets-list', '#/tickets?view=list', '[role=row] time'], ['ticket', '#/tickets?ticket=' + fire.id, '[data-testid=moves]'],
    ]) {
      await openPlace(desk, hash)
      await page.locator(wait).first().waitFor()
      await accessible(desk, what)
      await shoot(desk, what)
    }
    await page.locator('[role=tab]').nth(1).click()
    await page.locator('[data-testid=story]').waitFor()
    await accessible(desk, 'story')
  })
  await page.emulateMedia({ media: 'print' })
  assert.ok(await page.locator('[data-testid=paper]').isVisible())
  assert.ok(!(await page.locator('#app').isVisible()))
  await shoot(desk, 'ticket-paper')
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

for (const [width, height] of sizes) {
  test(`Alarms and tickets fit ${width}x${height}`, async () => {
    const desk = await openDesk(browser, { url: world.url, width, height })
    await sitDown(desk, { token: world.admin })
    const fire = await burning()
    for (const [what, hash, wait] of [['alarms', '#/alarms', '[data-testid=queue] .line'], ['alarm', '#/alarms?alarm=' + fire.alarm, 'aside .facts'], ['tickets', '#/tickets', '[data-ticket]'], ['tickets-list', '#/tickets?view=list', '[role=row] time, [role=row] .clock'], ['ticket', '#/tickets?ticket=' + fire.id, '[data-testid=moves]']]) {
      await openPlace(desk, hash)
      await desk.page.locator(wait).first().waitFor()
      const wide = await desk.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      assert.ok(wide <= 0, `${what}: ${wide} px wider than the window`)
      await shoot(desk, what)
    }
    assert.deepEqual(desk.errors, [])
    await desk.context.close()
  })
}
