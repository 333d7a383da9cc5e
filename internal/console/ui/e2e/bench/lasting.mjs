// A tab that lives for days must not grow: after equal rounds it holds as much as before. The long
// form, with figures, is hour.mjs. node --test e2e/bench/lasting.mjs
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openBrowser, openDesk, openPlace, sitDown, until } from '../console-harness.mjs'
import { Sender } from '../sender.mjs'
import { counting, held, hour, opened, worldOf } from './hour.mjs'

let world, browser
before(async () => {
  world = await worldOf(20)
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

/** few more is what a page may hold more by chance: a name that is looked up again, a row that comes late. */
const flat = (seen, what) => {
  const [first, last] = [seen[0], seen.at(-1)]
  assert.ok(last.listeners <= first.listeners + 4, `${what}: ${first.listeners} listeners, then ${last.listeners}`)
  assert.ok(last.nodes <= first.nodes * 1.02 + 20, `${what}: ${first.nodes} nodes, then ${last.nodes}`)
  assert.ok(last.kept <= first.kept * 1.02 + 40, `${what}: ${first.kept} kept in lists, then ${last.kept}`)
}

test('After equal rounds of alarms and tickets over map, queue and board, and of hasty visits and drawers, the desk holds as much as before', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/system' })
  await sitDown(desk, { token: world.admin })
  const { seen } = await hour(world, desk, { messages: 120, rounds: 3, warm: 1 })
  flat(seen, 'rounds of the screens')

  const sender = await Sender.open(world)
  for (const i of [1, 3, 5]) await (await sender.say('sn:h-' + i, { tamper: true })).got
  sender.close()
  const ids = await until('there are three tickets', async () => { const { items } = await world.api('/tickets?state=open'); return items.length === 3 && items.map((t) => t.id) })

  // Screens that are left before they stand, and a ticket's drawer.
  const cdp = await counting(desk)
  const after = []
  for (let round = 0; round < 3; round++) {
    await desk.page.evaluate(async () => {
      for (let i = 0; i < 40; i++) {
        location.hash = ['#/situation?view=list', '#/tickets', '#/alarms'][i % 3]
        await new Promise((go) => setTimeout(go, (i * 7) % 23))
      }
    })
    await openPlace(desk, '#/tickets')
    await desk.page.locator('#main .tickets').waitFor()
    await opened(desk, ids, 6)
    after.push(await held(cdp))
  }
  flat(after.slice(1), 'hasty visits and drawers')
  assert.deepEqual(desk.errors, [])
  await desk.context.close()
})
