// Names, addresses, notes and payloads that would be scripts if a page took a text for a page: in
// the console, in the inbox of units and in the technicians' app they are shown as they were
// written, and nothing of them runs or is asked for.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openBrowser, openDesk, openPlace, registry, settled, sitDown, until, World } from './console-harness.mjs'
import { byToken, goTo, isIn, openPhone, root, signOn, technicianToken } from './harness.mjs'

// Short, for names have a bound; each part asks for an address of its own if a page believes it.
const bait = '<img src=/bait onerror=ran(1)><script>ran(2)</script><svg/onload=ran(3)>${ran(4)}{{ran(5)}}'
const turned = '\u202egnp.\u202c' // what follows reads backwards
const link = 'javascript:ran(6)'
const fire = registry.units.find((u) => u.id === 'fire-1')
const hostile = (x, i) => ({ ...x, name: bait + i, ...(x.address ? { address: turned + bait, building: x.building && 'b-3', room: link } : {}) })
const seed = {
  ...registry,
  units: registry.units.map((u) => (u.id === 'desk-1' ? u : { ...u, name: bait + u.id })),
  buildings: registry.buildings.map((b) => ({ ...b, name: bait + b.id, key_holder: link + bait, entrances: [bait] })),
  points: registry.points.map(hostile),
  devices: registry.devices.map((d) => ({ ...d, notes: bait, owner: link, label: bait })),
}

/** profile puts a maker's file beside the gateway's own, with the bait where a maker writes what he likes. */
function profile(w) {
  const dir = join(w.dir, 'profiles/acme/door')
  mkdirSync(dir, { recursive: true })
  const own = readFileSync(join(root, 'firmware-profiles/gridgate/json/profile.yaml'), 'utf8')
  writeFileSync(join(dir, 'profile.yaml'), own.replace('profile: gridgate/json', 'profile: acme/door').replace('vendor: gridgate', 'vendor: ' + JSON.stringify(bait)).replace('model: JSON', 'model: ' + JSON.stringify(bait))
    .replace(/source: >[^]*?\ninterval/, 'source: ' + JSON.stringify(bait + link) + '\ninterval'))
}

let world, browser, ticket, alarm
before(async () => {
  world = await World.open({ seed, config: { profiles: ['profiles'] }, prepare: profile })
  await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: 1 })
  await world.say('sn:door-1', bait) // no payload that is known: it lies in quarantine
  await world.say('sn:stranger', bait)
  ticket = (await until('the ticket of the fire', async () => (await world.api('/tickets?point=p-smoke&type=smoke.alarm')).items[0])).id
  alarm = (await world.api('/alarms?ticket=' + ticket)).items[0].id
  const post = (path, body) => world.api(path, { method: 'POST', body })
  await post(`/alarms/${alarm}/comment`, { comment: bait, by: { name: bait, role: 'operator' } })
  await post('/points/p-smoke/notes', { text: bait })
  await post('/devices/sn:smoke-1/notes', { text: turned + bait })
  await post('/windows', { kind: 'shelved', points: ['p-door'], types: ['door.open'], for: '1h', reason: bait, by: { name: bait, role: 'operator' } })
  await post('/events', { type: 'manhole.open', source: 'hotline', external: 'H-1', point: 'p-cover', text: bait })
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

/** trap notes what runs, what is asked for, and what the policy has had to stop. */
async function trap({ context, page, errors }) {
  await context.addInitScript(() => {
    window.caught = []
    window.ran = (n) => window.caught.push('ran ' + n)
    document.addEventListener('securitypolicyviolation', (e) => window.caught.push(`${e.violatedDirective} stopped ${e.blockedURI}`))
  })
  page.on('dialog', (d) => { errors.push('a dialog: ' + d.message()); void d.dismiss() })
  page.on('request', (r) => { if (r.url().includes('/bait')) errors.push('asked for ' + r.url()) })
  await page.reload()
}

/** harmless wants the text on the screen as it was written, and nothing of it done. */
async function harmless({ page, errors }, what, shown = bait) {
  if (shown) await until(`${what} shows the text`, () => page.evaluate((t) => document.body.innerText.includes(t) || [...document.querySelectorAll('input, textarea, option')].some((x) => (x.value ?? '').includes(t) || x.textContent.includes(t)), shown))
  const found = await page.evaluate(() => ({
    caught: window.caught,
    made: [...document.querySelectorAll('img, script, svg, a, iframe, object, form, button')].filter((x) => [...x.attributes].some((a) => /bait|ran\(|^javascript:/i.test(a.name === 'src' || a.name === 'href' || a.name.startsWith('on') || a.name === 'action' ? a.value : ''))).map((x) => x.outerHTML.slice(0, 200)),
  }))
  assert.deepEqual(found, { caught: [], made: [] }, what)
  assert.deepEqual(errors, [], what)
}

test('The trap catches what runs', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/alarms' })
  await trap(desk)
  await desk.page.evaluate((t) => { document.body.append(document.createRange().createContextualFragment(t)) }, bait)
  await until('it is caught', () => desk.page.evaluate(() => window.caught.length > 0))
  await until('it is asked for', () => desk.errors.some((e) => e.includes('/bait')))
  await desk.context.close()
})

test('In the console hostile names are names', async () => {
  const desk = await openDesk(browser, { url: world.url, search: '#/alarms' })
  await trap(desk)
  await sitDown(desk, { token: world.admin, name: bait.slice(0, 40), role: 'supervisor' })
  for (const [place, shown] of [
    [`#/alarms?alarm=${alarm}`], ['#/tickets?view=list'], [`#/tickets?ticket=${ticket}`], ['#/tickets'], ['#/points?point=p-smoke'], ['#/points'], ['#/devices?device=' + encodeURIComponent('sn:smoke-1')],
    ['#/devices', ''], ['#/units'], ['#/units?unit=fire-1'], ['#/units?view=deliveries&only=all'], ['#/duty/windows'], ['#/duty', ''], ['#/situation?point=p-smoke'], ['#/system', ''], ['#/devices/profiles?profile=acme%2Fdoor'], ['#/devices/profiles', ''],
  ]) {
    await openPlace(desk, place)
    if (shown === '') await settled(desk)
    await harmless(desk, place, shown ?? bait)
  }
  await desk.context.close()
})

test('In the technicians’ app and in the inbox of units they are names too', async () => {
  const phone = await openPhone(browser, { url: world.url })
  await trap(phone)
  await signOn(phone, { token: technicianToken, name: bait.slice(0, 40) })
  for (const [place, shown] of [['#/tasks'], ['#/points', ''], ['#/points/p-smoke'], ['#/device/' + encodeURIComponent('sn:smoke-1'), ''], ['#/me', '']]) {
    await goTo(phone, place)
    await harmless(phone, '/m/' + place, shown ?? bait)
  }
  await phone.page.goto('/u/')
  await byToken(phone)
  await phone.page.locator('#token').fill(fire.token)
  await phone.page.locator('#name').fill(bait.slice(0, 40))
  await phone.page.locator('form button.primary').click()
  await isIn(phone)
  await phone.page.locator('[data-ticket]').first().waitFor()
  await harmless(phone, '/u/')
  await goTo(phone, '#/tickets/' + ticket)
  await harmless(phone, '/u/ with the ticket')
  await phone.context.close()
})
