// The duty desk: seats and who watches, taking and giving back before the eyes of others, what
// nobody takes, the roster, the handover that two sign, the sheets on paper.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { accessible, inAllLooks, isLive, openBrowser, openDesk, openPlace, registry, shoot, sitDown, sizes, until, World } from './console-harness.mjs'

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
  const desk = await openDesk(browser, { url: world.url, ...more })
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
  assert.ok((await seatRow('desk-1')).left)
  await close(wu)
})
