// A tab that lives for days must not grow: after equal rounds it holds as much as before. The long
// form, with figures, is bench/hour.mjs.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { counting, grown, held } from './bench/heap.mjs'
import { hour, opened, visit, worldOf } from './bench/hour.mjs'
import { openBrowser, openDesk, sitDown, until } from './console-harness.mjs'
import { Sender } from './sender.mjs'

let world, browser
before(async () => {
  world = await worldOf(20)
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

/** flat lets a page hold by chance what is not more after each round: a name that is looked up again, a row that comes late. A screen that stays after it was left is thousands of objects. */
const flat = ([first, last], what) => {
  const more = grown(first, last).map((g) => `${g.name} +${g.count}`).join(', ')
  assert.ok(last.listeners <= first.listeners + 4, `${what}: ${first.listeners} listeners, then ${last.listeners}; ${more}`)
  assert.ok(last.nodes <= first.nodes + 40, `${what}: ${first.nodes} nodes, then ${last.nodes}; ${more}`)
  assert.ok(last.detached <= first.detached + 40, `${what}: ${first.detached} nodes left over, then ${last.detached}; ${more}`)
  assert.ok(last.count <= first.count * 1.02, `${what}: ${first.count} objects, then ${last.count}; ${more}`)
}

test('After equal rounds of alarms and tickets over map, queue and board the desk holds as much as before', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/system' })
  await sitDown(desk, { token: world.admin })
  const { seen } = await hour(world, desk, { frames: 80, rounds: 2, warm: 1 })
  flat([seen[0], seen.at(-1)], 'rounds of the screens')
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})

test('After hasty visits, and a ticket opened and closed again and again, the desk holds as much as before', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/system' })
  await sitDown(desk, { token: world.admin })
  const sender = await Sender.open(world)
  for (const i of [1, 3, 5]) await (await sender.say('sn:h-' + i, { tamper: true })).got
  sender.close()
  const ids = await until('there are three tickets', async () => { const { items } = await world.api('/tickets?state=open'); return items.length === 3 && items.map((t) => t.id) })
  const cdp = await counting(desk)
  const round = async () => {
    await desk.page.evaluate(async () => {
      for (let i = 0; i < 40; i++) { // screens that are left before they stand
        location.hash = ['#/situation?view=list', '#/tickets', '#/alarms'][i % 3]
        await new Promise((go) => setTimeout(go, (i * 7) % 23))
      }
    })
    await visit(desk, '#/tickets')
    await opened(desk, ids, 6)
    await visit(desk, '#/system')
  }
  await round()
  const first = await held(cdp)
  for (let i = 0; i < 2; i++) await round()
  flat([first, await held(cdp)], 'hasty visits and drawers')
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})
