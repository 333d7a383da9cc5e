// The duty desk: seats and who watches, taking and giving back before the eyes of others, what
// nobody takes, the roster, the handover that two sign, the sheets on paper.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { accessible, inAllLooks, openBrowser, openDesk, openPlace, pictures, registry, shoot, sitDown, until, World } from './console-harness.mjs'

/** The built-in file with times that a test can wait for. A seat is heard each second, so that what is cut is seen at once. */
const quickDuty = {
  seats: [
    { id: 'desk-1', name: { zh: '一号值班席', en: 'Desk 1' } },
    { id: 'desk-2', name: { zh: '二号值班席', en: 'Desk 2' } },
    { id: 'duty-lead', name: { zh: '值班长席', en: 'Duty lead' } },
  ],
  beat: '1s', silent: '5s',
  untaken: { priorities: [1], seats: '2s', lead: '4s', call: 'seat:duty-lead' },
  sheet: { at: '02:30', keep: 7 },
}

/** A smoke alarm for each story, alone in its house and far from the others, so that no fire joins another. */
const smokes = ['take', 'lies', 'look'].map((name, i) => ({ ...registry.points[0], id: 'p-' + name, name: `${20 + i}号楼 烟感`, building: 'b-' + name, cell: '31010500500101' + i, lon: 121.3 - i / 50 }))
const seed = {
  ...registry, points: [...registry.points, ...smokes],
  devices: [...registry.devices, ...smokes.map((p) => ({ identity: 'sn:' + p.id, profile: 'gridgate/json', mode: 'live' }))],
  installations: [...registry.installations, ...smokes.map((p) => ({ device: 'sn:' + p.id, channel: 'main', point: p.id, from: new Date(Date.now() - 60_000).toISOString() }))],
}

let world, browser
before(async () => {
  world = await World.open({ seed, config: { duty: 'duty.yaml' }, files: { 'duty.yaml': JSON.stringify(quickDuty) } })
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

async function deskOf(name, role = 'operator', more = {}) {
  const desk = await openDesk(browser, { url: world.url, search: '#/alarms', ...more }) // no map is drawn that no story looks at
  await sitDown(desk, { token: world.admin, name, role })
  return desk
}
const seat = (desk, why) => desk.page.locator(`[data-testid=seat][data-why=${why}]`).waitFor()
const seatRow = async (id) => (await world.api('/seats')).items.find((x) => x.id === id)

/** sit signs on to a seat by the status line, as a person does. */
async function sit(desk, id) {
  await desk.page.locator('[data-testid=seat]').click()
  await desk.page.locator(`aside [data-seat=${id}] [data-do=sit]`).click()
  await seat(desk, 'watching')
}

async function burning(point) {
  await world.say('sn:' + point, { 'smoke.alarm': true, seq: 1 })
  return until('a fire at ' + point, async () => (await world.api(`/tickets?state=open&type=smoke.alarm&point=${point}`)).items.find((x) => x.point === point))
}

/** over finds a fire false, so that nobody has to take it in the next test. */
async function over(ticket, alarm) {
  await world.api(`/tickets/${ticket}/moves`, { method: 'POST', body: { verb: 'verify', finding: 'false', on_site: true, source: '现场', reason: '炒菜油烟，现场已查看', by: { name: '吴', role: 'supervisor' } } })
  await until('nobody is wanted', async () => !(await world.api('/alarms/' + alarm)).untaken)
}

async function close(...desks) {
  for (const d of desks) {
    assert.deepEqual(d.errors, [])
    await d.context.close()
  }
}

test('Who signs on with sound armed watches; what that seat takes the other sees at once, and what it gives back too', async () => {
  const lin = await deskOf('林')
  const wu = await deskOf('吴')
  await seat(lin, 'none')
  await lin.page.locator('[data-testid=sound][data-sound=off][role=alert]').waitFor()
  assert.equal(await wu.page.locator('[data-testid=seats]').getAttribute('data-watching'), '0')
  await shoot(lin, 'seat-none')
  await sit(lin, 'desk-1')
  await wu.page.locator('[data-testid=seats][data-watching="1"]').waitFor()
  assert.equal((await seatRow('desk-1')).person, '林')

  const fire = await burning('p-take')
  await openPlace(lin, '#/alarms?alarm=' + fire.alarm)
  await openPlace(wu, '#/alarms')
  await lin.page.locator('[data-testid=taken] [data-do=take]').waitFor()
  await lin.page.keyboard.press('m') // by the keyboard alone
  await wu.page.locator(`[data-alarm="${fire.alarm}"] [data-taken="林"]`).waitFor()
  await shoot(wu, 'taken-by-another')

  // The other wants it: without a seat nothing is taken; with one it is asked.
  await wu.page.locator(`[data-testid=queue] [data-alarm="${fire.alarm}"] .what`).click()
  await wu.page.locator('[data-testid=taken] [data-do=over]').click()
  await wu.page.locator('[data-testid=seat-list]').waitFor()
  await wu.page.locator('aside [data-seat=desk-2] [data-do=sit]').click()
  await seat(wu, 'watching')
  await wu.page.locator('[data-testid=taken] [data-do=over]').click()
  const sheet = wu.page.locator('[data-testid=take-sheet]')
  await sheet.getByText('林').waitFor()
  await sheet.locator('button.primary').click()
  await lin.page.locator('[data-testid=taken]', { hasText: '吴' }).waitFor()
  assert.deepEqual({ ...(await world.api('/alarms/' + fire.alarm)).taken, at: 0 }, { seat: 'desk-2', by: '吴', at: 0 })

  // Given back with a reason, from the ticket.
  await openPlace(wu, '#/tickets?ticket=' + fire.id)
  await wu.page.locator('[data-testid=taken] [data-do=back]').waitFor()
  await wu.page.keyboard.press('Shift+M')
  await sheet.locator('button.primary').click()
  await sheet.getByRole('alert').waitFor()
  await sheet.locator('textarea').fill('去开现场会')
  await sheet.locator('button.primary').click()
  await lin.page.locator('[data-testid=taken] [data-do=take]').waitFor()
  const said = (await world.api(`/alarms/${fire.alarm}/history`)).items
  assert.ok(said.some((x) => x.action === 'alarm.give_back' && x.detail === '去开现场会' && x.by.name === '吴'))
  await lin.page.keyboard.press('m')
  await lin.page.locator('[data-testid=taken].mine').waitFor()
  await over(fire.id, fire.alarm)
  await close(lin, wu)
})

test('What nobody takes is before every seat and rings, goes to the lead with its reason, and is silent once it is taken', async () => {
  const lin = await deskOf('林')
  const wu = await deskOf('吴')
  await sit(lin, 'desk-1')
  const fire = await burning('p-lies')
  for (const d of [lin, wu]) await d.page.locator('[data-testid=untaken][data-lead=false]').waitFor()
  await lin.page.locator('[data-testid=sound][data-ring=untaken]').waitFor()
  await shoot(lin, 'untaken')
  for (const d of [lin, wu]) await d.page.locator('[data-testid=untaken][data-lead=true]', { hasText: '值班长' }).waitFor()
  await shoot(lin, 'untaken-lead')
  await openPlace(wu, '#/alarms')
  await wu.page.locator(`[data-alarm="${fire.alarm}"] [data-untaken=lead]`).waitFor()
  // By the keyboard, from a screen where nothing is selected: the worst that lies.
  await openPlace(lin, '#/points')
  await until('it is the worst that lies', async () => (await lin.page.locator('[data-testid=untaken]').getAttribute('data-alarm')) === fire.alarm)
  await lin.page.keyboard.press('m')
  for (const d of [lin, wu]) await d.page.locator('[data-testid=untaken]').waitFor({ state: 'detached' })
  await wu.page.locator(`[data-alarm="${fire.alarm}"] [data-taken="林"]`).waitFor()

  // A reload keeps the seat; the sound wants a click again, and says so.
  await lin.page.reload()
  await seat(lin, 'sound')
  await until('the server hears that nothing is heard', async () => (await seatRow('desk-1')).why === 'sound is not armed')
  await lin.page.locator('[data-testid=sound][data-sound=blocked]').getByRole('button').click()
  await seat(lin, 'watching')
  await until('it watches again', async () => (await seatRow('desk-1')).watching)
  await over(fire.id, fire.alarm)
  await close(lin, wu)
})

test('A seat whose stream is cut does not watch any more, here and there, and a seat that another takes over is lost in words', async () => {
  const lin = await deskOf('林')
  const wu = await deskOf('吴', 'supervisor')
  await sit(lin, 'desk-1')
  await wu.page.locator('[data-testid=seats][data-watching="1"]').waitFor()
  await lin.context.setOffline(true)
  await seat(lin, 'stream')
  await wu.page.locator('[data-testid=seats][data-watching="0"]').waitFor()
  await shoot(lin, 'seat-stream')
  await lin.context.setOffline(false)
  await seat(lin, 'watching')
  await wu.page.locator('[data-testid=seats][data-watching="1"]').waitFor()

  await openPlace(wu, '#/duty')
  const row = wu.page.locator('#main .place [data-seat=desk-1]')
  await row.locator('[data-do=sit]').click()
  await row.getByRole('alert').getByText('林').waitFor()
  await shoot(wu, 'seat-over')
  await row.locator('[data-do=over]').click()
  await seat(wu, 'watching')
  await lin.page.locator('[data-testid=seat-lost][data-gone=replaced]', { hasText: '吴' }).waitFor()
  await seat(lin, 'gone')
  await sit(lin, 'desk-2')
  await lin.page.locator('[data-testid=seat-lost]').waitFor({ state: 'detached' })

  // The page of desk-2 is gone: the lead clears it when it has fallen silent.
  await close(lin)
  const dead = wu.page.locator('#main .place [data-seat=desk-2]')
  await dead.locator('[data-do=clear]').click()
  await dead.locator('[data-do=clear-yes]').click()
  await until('the seat is free', async () => !!(await seatRow('desk-2')).left)
  await wu.page.locator('#main .place [data-seat=desk-1] [data-do=leave]').click()
  await seat(wu, 'none')
  await until('the server has it free', async () => !!(await seatRow('desk-1')).left)
  await close(wu)
})

test('A handover is made with a note, read as a page, signed by two persons, and downloads as a PDF', async () => {
  const lin = await deskOf('林')
  const wu = await deskOf('吴')
  for (const d of [lin, wu]) await openPlace(d, '#/duty/handover')
  await lin.page.locator('[data-do=make]').click()
  const form = lin.page.locator('[data-testid=make-handover]')
  await form.locator('textarea').fill('3 号楼电梯停运')
  await form.locator('button.primary').click()
  const page = lin.page.locator('[data-testid=handover][data-state=open]')
  await page.locator('[data-section=notes]', { hasText: '电梯停运' }).waitFor()
  await wu.page.locator('[data-handover]').first().waitFor() // without a reload
  await page.locator('[data-testid=sign] button.primary').click()
  await lin.page.locator('[data-state=half] [data-sign=out].done', { hasText: '林' }).waitFor()
  assert.ok(await lin.page.locator('[data-testid=sign] button.primary').isDisabled(), 'one person does not sign twice')
  await wu.page.locator('[data-state=half] [data-sign=out].done', { hasText: '林' }).waitFor()
  await wu.page.locator('[data-testid=sign] button.primary').click()
  await lin.page.locator('[data-testid=handover][data-state=signed]').waitFor()
  await shoot(lin, 'handover-signed')
  const [file] = await Promise.all([wu.page.waitForEvent('download'), wu.page.locator('[data-do=pdf]').click()])
  assert.match(file.suggestedFilename(), /^handover-.*\.pdf$/)
  assert.equal(readFileSync(await file.path()).subarray(0, 5).toString(), '%PDF-')
  const h = (await world.api('/handovers')).items[0]
  assert.deepEqual([h.outgoing.by.name, h.incoming.by.name], ['林', '吴'])
  await close(lin, wu)
})

test('The sheets of the night are made and download; numbers want a reason, which is audited', async () => {
  const lin = await deskOf('林')
  const { page } = lin
  await world.api('/contacts', { method: 'POST', body: { of: 'point:p-take', role: 'key_holder', channel: 'voice', number: '00000000017' } })
  await openPlace(lin, '#/duty/sheets')
  await page.locator('[data-do=make-night]').click()
  const night = page.locator('[data-night]').first()
  await night.waitFor()
  const pdf = async (click) => {
    const [file] = await Promise.all([page.waitForEvent('download'), click()])
    return readFileSync(await file.path()).subarray(0, 5).toString()
  }
  assert.equal(await pdf(() => night.click()), '%PDF-')
  await page.locator('button[aria-expanded=false]', { hasText: '电话号码' }).click()
  const form = page.locator('[data-testid=numbers]')
  await form.locator('button.primary').click()
  await form.getByRole('alert').waitFor()
  await form.locator('input').last().fill('停电，步行巡查')
  assert.equal(await pdf(() => form.locator('button.primary').click()), '%PDF-')
  const said = (await world.api('/deeds?type=contact.reveal&limit=10')).items
  assert.ok(said.some((x) => x.detail.includes('停电，步行巡查') && x.by.name === '林'), JSON.stringify(said))
  await close(lin)
})

test('A shift is added, shown with who comes next, ended, and put back by undo', async () => {
  const lin = await deskOf('陈', 'supervisor')
  const { page } = lin
  await openPlace(lin, '#/duty/roster')
  await page.locator('[data-do=add-shift]').click()
  const form = page.locator('[data-testid=shift-form]')
  await form.locator('button.primary').click()
  await form.getByRole('alert').waitFor()
  await form.locator('input').nth(0).fill('seat:duty-lead')
  await form.locator('input').nth(1).fill('lead-day')
  await form.locator('input[type=datetime-local]').first().fill('2026-01-01T00:00')
  await form.locator('button.primary').click()
  await page.locator('[data-watch="seat:duty-lead"] b', { hasText: 'lead-day' }).waitFor()
  assert.deepEqual((await world.api('/rosters/duty?for=seat:duty-lead')).persons, ['lead-day'])
  await page.locator('[data-shift] [data-do=end-shift]').first().click()
  await page.locator('[data-watch="seat:duty-lead"]').waitFor({ state: 'detached' })
  await page.locator('.toast', { hasText: '已结束班次' }).getByRole('button', { name: '撤销' }).click()
  await page.locator('[data-watch="seat:duty-lead"] b', { hasText: 'lead-day' }).waitFor()
  await close(lin)
})

test('The desk is accessible in both languages and themes, and fits a telephone; a wall shows the seats and takes no deed', async () => {
  const desk = await deskOf('林', 'supervisor')
  const { page } = desk
  const fire = await burning('p-look')
  const now = Date.now()
  const hour = (n) => new Date(now + n * 3_600_000).toISOString()
  await world.api('/rosters', { method: 'POST', body: { id: 'lead', for: 'seat:duty-lead', fallback: 'lead-night' } })
  await world.api('/rosters', { method: 'POST', body: { id: 'micro', for: 'unit:fire-1', fallback: 'watch-c' } })
  for (const [person, from] of [['watch-a', -5], ['watch-b', 19]]) await world.api('/shifts', { method: 'POST', body: { for: 'unit:fire-1', person, from: hour(from), every: '72h', length: '24h' } })
  await world.api('/seats/desk-2/sign-on', { method: 'POST', body: { sound: false, stream: true, by: { name: '吴', role: 'operator' } } })
  await world.api('/handovers', { method: 'POST', body: { note: '夜间巡查一次', by: { name: '吴', role: 'operator' } } })
  const places = {
    'duty-seats': ['#/duty', '#main .place [data-seat]'], 'duty-roster': ['#/duty/roster', '.bar'], 'duty-handover': ['#/duty/handover', '[data-testid=handover] [data-section]'],
    'duty-sheets': ['#/duty/sheets', '[data-testid=nights]'], 'duty-alarm': ['#/alarms?alarm=' + fire.alarm, '[data-testid=taken]'], 'duty-ticket': ['#/tickets?ticket=' + fire.id, '[data-testid=taken]'],
  }
  const judge = async () => {
    for (const [what, [hash, wait]] of Object.entries(places)) {
      await openPlace(desk, hash)
      await page.locator(wait).first().waitFor()
      await accessible(desk, what)
    }
  }
  await inAllLooks(desk, judge)
  await page.setViewportSize({ width: 390, height: 844 })
  await judge()
  await page.setViewportSize({ width: 1366, height: 768 })
  await page.locator('[data-testid=seat]').click()
  await page.locator('aside [data-seat]').first().waitFor()
  await accessible(desk, 'seats')
  await shoot(desk, 'duty-drawer')
  await page.keyboard.press('Escape')
  await page.locator('aside [data-seat]').first().waitFor({ state: 'detached' })
  if (process.env.SHOTS) await pictures(desk, Object.fromEntries(Object.entries(places).map(([what, [hash]]) => [what, hash])), (d, what) => page.locator(places[what][1]).first().waitFor())
  const wall = await openDesk(browser, { url: world.url, width: 1920, height: 1080, search: '?wall=1#/situation' })
  await sitDown(wall, { token: world.admin })
  await wall.page.locator('[data-testid=seats]').waitFor()
  assert.equal(await wall.page.locator('[data-testid=seat], [data-testid=sound], [data-testid=untaken] button').count(), 0)
  await shoot(wall, 'duty-wall')
  await close(desk, wall)
})
