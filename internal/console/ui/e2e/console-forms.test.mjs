// What the desk writes down: a report taken by the keyboard alone, one that joins the first, a
// hazard to its end, a permit that asks, an exercise, the posture; and the looks of each place.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, inAllLooks, openBrowser, openDesk, openPlace, pictures, registry, settled, shoot, sitDown, until, World } from './console-harness.mjs'

const units = [...registry.units, { id: 'prop-1', name: '仙霞物业', kind: 'property', tier: 2, district: '310105', mode: 'live', connector: 'inbox', token: 'prop-token-0123456789abcdef0123' },
  { id: 'drains-1', name: '市政排水', kind: 'utility', tier: 3, district: '310105', mode: 'live', connector: 'inbox', token: 'drain-token-0123456789abcdef01' }]
const covers = [1, 2].map((i) => ({ ...registry.points[2], id: 'm-' + i, name: `仙霞路 ${i * 10} 号雨水井`, address: `仙霞路 ${i * 10} 号`, cell: '310105005001002' }))
const drill = { ...registry.points[0], id: 'p-drill', name: '5号楼 2F 烟感', building: 'b-5', cell: '310105005001005' }
const added = [...covers, drill]
const seed = {
  ...registry, units, points: [...registry.points, ...added],
  devices: [...registry.devices, ...added.map((p) => ({ identity: 'sn:' + p.id, profile: 'gridgate/json', mode: 'live' }))],
  installations: [...registry.installations, ...added.map((p) => ({ device: 'sn:' + p.id, channel: 'main', point: p.id, from: new Date(Date.now() - 60_000).toISOString() }))],
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

async function desk(role = 'operator', name = '林', more = {}) {
  const d = await openDesk(browser, { url: world.url, search: '#/alarms', ...more }) // no map is drawn that no story looks at
  await sitDown(d, { token: world.admin, name, role })
  return d
}
const close = async (d) => {
  assert.deepEqual(d.errors, [])
  await d.context.close()
}
const focusIs = (d, end) => until('the focus is on ' + end, () => d.page.evaluate((x) => (document.activeElement?.id ?? '').endsWith(x) || (document.activeElement?.name ?? '').endsWith(x), end))
const open = (path) => world.api(path)

test('A call is filed by keys alone from the alarms, and a second call about the same joins the first', async () => {
  const d = await desk()
  const { page } = d
  await openPlace(d, '#/alarms')
  await page.keyboard.press('n')
  const form = page.locator('[data-testid=report]')
  await form.waitFor()
  assert.match(page.url(), /#\/alarms\?new=event/, 'the address keeps it, over what is open')
  await focusIs(d, '-source')
  await until('what can be reported is known', () => page.locator('[data-testid=what]').evaluate((el) => document.querySelectorAll(`#${CSS.escape(el.id)}-list [role=option]`).length > 3))
  await page.keyboard.press('Enter')
  await focusIs(d, '-external')
  await page.keyboard.type('20260302-0017')
  await page.keyboard.press('Enter')
  await focusIs(d, '-what')
  await page.keyboard.type('井盖开启')
  await page.keyboard.press('Enter')
  await focusIs(d, '-priority') // P1 by the rules, shown
  assert.match(await page.locator('aside header').textContent(), /P1/)
  await page.keyboard.press('Enter')
  await focusIs(d, '-where')
  await page.keyboard.type('仙霞路 10')
  await form.locator('[role=option]', { hasText: '仙霞路 10 号雨水井' }).waitFor()
  await page.keyboard.press('ArrowDown') // the first line keeps the words
  await page.keyboard.press('Enter')
  await form.getByText('310105005001002').waitFor()
  await focusIs(d, '-text')
  await page.keyboard.type('盖子没了，电话 13800138000')
  await form.getByText(/将存为 \*\*\*：13800138000/).waitFor()
  await shoot(d, 'report')
  // Closed, it keeps its draft; the focus goes back to where it was.
  await page.keyboard.press('Escape')
  await form.waitFor({ state: 'detached' })
  await page.keyboard.press('n')
  await form.waitFor()
  assert.match(await form.locator('textarea').inputValue(), /盖子没了/)
  await page.keyboard.press('Control+Enter')
  await page.locator('[data-testid=moves]').waitFor()
  const ticket = new URLSearchParams(page.url().split('?').pop()).get('ticket')
  const first = await open('/tickets/' + ticket)
  assert.equal(first.type, 'manhole.open')
  assert.equal(first.point, 'm-1')
  const ep = await open('/alarms/' + first.alarm)
  assert.equal(ep.filed.external, '20260302-0017')
  assert.ok(!JSON.stringify(ep).includes('13800138000'), 'no number is kept')

  await page.keyboard.press('n')
  await form.waitFor()
  assert.equal(await form.locator('textarea').inputValue(), '', 'what was filed is no draft any more')
  await form.locator('input[value=patrol]').check()
  await page.locator('[data-testid=what]').fill('井盖开启')
  await page.keyboard.press('Enter')
  await page.locator('[data-testid=where]').fill('仙霞路 10')
  await form.locator('[role=option]', { hasText: '仙霞路 10 号雨水井' }).waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  const like = page.locator(`[data-testid=like] [data-ticket="${ticket}"]`)
  await like.getByText('同一点位、同一事项').waitFor()
  await shoot(d, 'report-similar')
  const before = (await open('/tickets?state=open&limit=100')).items.length
  await page.keyboard.press('Control+j')
  await page.getByText('已并入工单，没有重复派单').waitFor()
  await until('both reports are of one ticket', async () => (await open('/alarms?ticket=' + ticket)).items.length === 2)
  assert.equal((await open('/tickets?state=open&limit=100')).items.length, before, 'no open ticket more')
  const other = (await open('/tickets?limit=5')).items.find((x) => x.state === 'merged')
  const sent = (await open('/deliveries?ticket=' + other.id)).items
  assert.ok(sent.length > 0 && sent.every((x) => x.state === 'withheld'), 'nobody was sent twice')
  // Taken back: it was another cover after all.
  await page.locator('.toast', { hasText: '已并入工单' }).getByRole('button', { name: '撤销' }).click()
  await until('it has a ticket of its own', async () => (await open('/alarms?ticket=' + ticket)).items.length === 1)
  await close(d)
})

test('A hazard goes from the patrol’s word to closed, with its check-list', async () => {
  const d = await desk('supervisor', '陈')
  const { page } = d
  await openPlace(d, '#/duty/hazards')
  await page.keyboard.press('n')
  const form = page.locator('[data-testid=report]')
  await form.locator('input[value=patrol]').check()
  await until('kinds are known', () => page.locator('[data-testid=what]').evaluate((el) => document.querySelectorAll(`#${CSS.escape(el.id)}-list [role=option]`).length > 3))
  await page.locator('[data-testid=what]').fill('疏散')
  await page.keyboard.press('Enter')
  await form.getByText('出口是否上锁').waitFor()
  await page.locator('[data-testid=where]').fill('天山路 18 弄 3 号楼后门')
  await page.keyboard.press('Enter')
  await form.getByRole('radiogroup', { name: '通道是否畅通' }).getByLabel('否').check()
  await shoot(d, 'report-hazard')
  await page.keyboard.press('Control+Enter')
  const moves = page.locator('[data-testid=hazard-moves]')
  await moves.waitFor()
  const id = new URLSearchParams(page.url().split('?').pop()).get('hazard')
  const state = async () => (await open('/hazards/' + id)).state
  const act = page.locator('[data-testid=hazard-form]')
  const make = async (verb, fill) => {
    await moves.locator(`[data-verb=${verb}]`).click()
    await act.waitFor()
    await fill?.()
    await page.keyboard.press('Control+Enter')
    await act.waitFor({ state: 'detached' })
  }
  if ((await state()) === 'found') await make('notify', () => act.locator('select').selectOption('prop-1'))
  const deadline = (await open('/hazards/' + id)).deadline
  await make('extend', async () => {
    await act.locator('textarea').fill('锁具已订购')
  })
  assert.ok(Date.parse((await open('/hazards/' + id)).deadline) > Date.parse(deadline), 'the deadline has moved')
  await make('start', () => act.locator('input').first().fill('物业吴'))
  await make('rectify', async () => {
    await act.locator('input').first().fill('物业吴')
    await act.locator('textarea').fill('杂物已清走')
  })
  await make('recheck', () => act.locator('input').first().fill('林'))
  await moves.locator('[data-verb=pass]').click()
  await act.locator('textarea').fill('现场已畅通')
  await page.keyboard.press('Control+Enter')
  await act.getByRole('alert').waitFor() // questions are open, and one still says danger
  await shoot(d, 'hazard-pass')
  for (const [q, a] of [['通道是否畅通', '是'], ['出口是否上锁', '否'], ['疏散指示和应急照明是否正常', '是']]) await act.getByRole('radiogroup', { name: q }).getByLabel(a, { exact: true }).check()
  await page.keyboard.press('Control+Enter')
  await act.waitFor({ state: 'detached' })
  assert.equal(await state(), 'closed')
  await page.locator('aside [aria-current=step]', { hasText: '已销号' }).waitFor()
  await shoot(d, 'hazard-closed')
  await close(d)
})

test('A spot that is clicked on the map is where it was, and Escape closes the top drawer alone', async () => {
  const d = await desk()
  const { page } = d
  const ticket = (await open('/tickets?state=open&limit=1')).items[0]
  await openPlace(d, '#/situation?at=121.4,31.21,16')
  await page.locator('[data-testid=map]:not([data-idle="0"])').waitFor()
  await page.keyboard.press('n')
  const form = page.locator('[data-testid=report]')
  await form.waitFor()
  const map = await page.getByTestId('map').boundingBox()
  await page.mouse.click(map.x + map.width / 3, map.y + map.height / 2)
  await form.getByText('地图位置').waitFor()
  const [lat, lon] = (await form.locator('.is .num').first().textContent()).split(',').map(Number)
  assert.ok(Math.abs(lat - 31.21) < 0.01 && Math.abs(lon - 121.4) < 0.02 && lon < 121.4, `${lat}, ${lon} is west of the middle`)
  assert.match(page.url(), /new=event/, 'the map keeps the form open')
  await form.getByRole('button', { name: '放弃草稿' }).or(page.locator('aside header .btn')).first().click()
  // Over a ticket: one Escape a drawer, from wherever the focus is.
  await openPlace(d, '#/tickets?new=event&ticket=' + ticket.id)
  await page.locator('[data-testid=moves]').waitFor()
  await form.waitFor()
  await page.evaluate(() => document.activeElement?.blur())
  await page.keyboard.press('Escape')
  await form.waitFor({ state: 'detached' })
  await page.locator('[data-testid=moves]').waitFor()
  await page.keyboard.press('Escape')
  await page.locator('[data-testid=moves]').waitFor({ state: 'detached' })
  await close(d)
})

test('A permit with an open cover asks, and the answer sends nobody', async () => {
  const d = await desk()
  const { page } = d
  await openPlace(d, '#/duty/permits')
  await page.getByRole('button', { name: '新许可' }).first().click()
  const form = page.locator('[data-testid=window-form]')
  await page.locator('[data-testid=points]').fill('仙霞路 20')
  await form.locator('[role=option]', { hasText: '仙霞路 20 号雨水井' }).waitFor()
  await page.keyboard.press('Enter')
  await page.locator('[data-testid=holder]').fill('市政排水')
  await page.keyboard.press('Enter')
  await form.locator('textarea').fill('清淤')
  await shoot(d, 'permit-new')
  await page.keyboard.press('Control+Enter')
  await form.waitFor({ state: 'detached' })
  const permit = (await open('/permits?state=open')).items[0]
  assert.equal(permit.holder, 'drains-1')
  assert.deepEqual(permit.points, ['m-2'])
  await world.say('sn:m-2', { 'manhole.open': true, seq: 1 })
  const question = page.locator('aside [data-testid=question]')
  await question.waitFor()
  await question.getByText('有人看守吗？').waitFor()
  await shoot(d, 'permit-asks')
  await question.getByRole('button', { name: '有人看守' }).click()
  await page.locator('[data-testid=covers] [data-state=guarded]').waitFor()
  const alarm = (await open(`/windows/${permit.id}/alarms`)).items[0]
  assert.equal(alarm.cover.answer, 'yes')
  assert.ok(!alarm.ticket, 'nobody is sent')
  await close(d)
})

test('What an exercise expects is marked as practice on every screen, and what is not in its script is live', async () => {
  const d = await desk('supervisor', '吴')
  const { page } = d
  await openPlace(d, '#/duty/exercises?add=1')
  const form = page.locator('[data-testid=window-form]')
  await page.locator('[data-testid=points]').fill('5号楼 2F')
  await form.locator('[role=option]', { hasText: '5号楼 2F 烟感' }).waitFor()
  await page.keyboard.press('Enter')
  await until('the script has its line', () => form.locator('.points select').count())
  await form.locator('.points select').selectOption('smoke.alarm')
  await form.locator('textarea').fill('春季疏散演练')
  await page.keyboard.press('Control+Enter')
  await form.waitFor({ state: 'detached' })
  await page.locator('[data-testid=notlive]').getByText('演练中').waitFor()
  await world.say('sn:p-drill', { 'smoke.alarm': true, seq: 1 })
  const ticket = await until('the exercise has its ticket', async () => (await open('/tickets?state=open&point=p-drill')).items[0])
  assert.equal(ticket.mode, 'exercise')
  await page.locator('[data-testid=covers] [data-state=exercise]').waitFor()
  await page.getByText(/因演练标记：1 条告警/).waitFor()
  await shoot(d, 'exercise')
  await openPlace(d, '#/alarms')
  await page.locator('[data-testid=band]').getByText(/演练进行中/).waitFor()
  await shoot(d, 'alarms-band')
  await world.say('sn:p-drill', { 'smoke.alarm': false, seq: 2 })
  await close(d)
})

test('The posture is switched with an end, and another desk shows it at once', async () => {
  const d = await desk('supervisor', '陈')
  const other = await desk()
  await openPlace(other, '#/alarms')
  await openPlace(d, '#/duty/posture')
  const { page } = d
  const form = page.locator('[data-testid=posture-form]')
  await form.locator('select').first().selectOption('typhoon')
  await page.locator('[data-testid=effects]').getByText('P3 → P2').waitFor()
  await form.locator('button').click()
  await form.getByRole('alert').waitFor()
  await form.locator('input').fill('红色预警')
  await form.locator('button').click()
  await page.locator('[data-testid=posture][data-posture=typhoon]').waitFor()
  await other.page.locator('[data-testid=band]').getByText(/勤务等级“台风”/).waitFor()
  await other.page.locator('[data-testid=notlive]').getByText('台风').waitFor()
  await openPlace(other, '#/duty/posture')
  await other.page.getByText('由值班长切换').waitFor()
  assert.equal(await other.page.locator('[data-testid=posture-form]').count(), 0, 'an operator is not shown what he may not do')
  assert.ok(Date.parse((await open('/posture')).to) > Date.now() + 11 * 3_600_000)
  await shoot(d, 'posture')
  await page.getByRole('button', { name: '恢复正常' }).click()
  await other.page.locator('[data-testid=posture][data-posture=normal]').waitFor()
  await page.locator('.history').getByText('台风').waitFor()
  await close(other)
  await close(d)
})

test('Every form and place is readable by all, in both languages and themes, and on a telephone', async () => {
  await world.api('/posture', { method: 'POST', body: { posture: 'typhoon', for: '12h', reason: '红色预警', by: { name: '陈', role: 'supervisor' } } })
  const d = await desk('supervisor', '陈')
  const hazard = (await open('/hazards?limit=1')).items[0]
  const permit = (await open('/permits?limit=1')).items[0]
  const places = {
    'forms-report': '#/alarms?new=event', 'forms-hazards': '#/duty/hazards', 'forms-hazard': '#/duty/hazards?state=ended&hazard=' + hazard.id, 'forms-permits': '#/duty/permits', 'forms-permit': '#/duty/permits?window=' + permit.id,
    'forms-permit-form': '#/duty/permits?add=1', 'forms-windows': '#/duty/windows', 'forms-exercises': '#/duty/exercises?view=ended', 'forms-posture': '#/duty/posture',
  }
  const judge = async () => {
    for (const [name, hash] of Object.entries(places)) {
      await openPlace(d, hash)
      await settled(d)
      await accessible(d, name)
    }
  }
  await inAllLooks(d, judge)
  await d.page.setViewportSize({ width: 390, height: 844 })
  await judge()
  if (process.env.SHOTS) await pictures(d, places)
  await close(d)
})
