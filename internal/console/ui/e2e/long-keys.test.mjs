// Every deed of the desk by keys alone: alarms, tickets, duty, units, points and devices. Nothing is
// clicked: Tab, arrows, Enter, Space and the shortcuts. A table for each; what cannot be done is named.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { after, afterEach, before, test } from 'node:test'
import { openBrowser, openDesk, openPlace, registry, sitDown, until, World } from './console-harness.mjs'
import { Hands, table } from './hands.mjs'

const enc = encodeURIComponent
const many = Array.from({ length: 8 }, (_, i) => ({ ...registry.points[1], id: 'k-' + i, name: `${i} 号防火门`, building: 'b-k' + i, cell: '31010500500102' + i, lon: 121.3 + i / 50 }))
const units = [...registry.units, { id: 'prop-1', name: '仙霞物业', kind: 'property', tier: 2, district: '310105', mode: 'live', connector: 'inbox', token: 'prop-token-0123456789abcdef0123' }]
const duty = {
  seats: [{ id: 'desk-1', name: { zh: '一号值班席', en: 'Desk 1' } }, { id: 'duty-lead', name: { zh: '值班长席', en: 'Duty lead' } }],
  beat: '1s', silent: '5s', untaken: { priorities: [1], seats: '30s', lead: '60s', call: 'seat:duty-lead' }, sheet: { at: '02:30', keep: 7 },
}

let world, browser, endpoint
let answer = 410
before(async () => {
  endpoint = createServer((req, res) => {
    req.resume()
    req.on('end', () => res.writeHead(answer).end())
  })
  await new Promise((go) => endpoint.listen(0, '127.0.0.1', go))
  const webhook = { connector: 'webhook', url: `http://127.0.0.1:${endpoint.address().port}/in`, secret: 'whsec_' + Buffer.from('0123456789abcdef0123456789abcdef').toString('base64') }
  const seed = {
    ...registry, units: units.map((u) => (u.id === 'fire-1' ? { ...u, ...webhook } : u)), points: [...registry.points, ...many],
    devices: [...registry.devices, ...many.map((p) => ({ identity: 'sn:' + p.id, profile: 'gridgate/json', mode: 'live' }))],
    installations: [...registry.installations, ...many.map((p) => ({ device: 'sn:' + p.id, channel: 'main', point: p.id, from: new Date(Date.now() - 60_000).toISOString() }))],
  }
  world = await World.open({ seed, config: { duty: 'duty.yaml', dispatch: { allow_cidrs: ['127.0.0.0/8'], test_every: '2h' } }, files: { 'duty.yaml': JSON.stringify(duty) } })
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
  endpoint?.close()
})
afterEach(() => Promise.all(browser.contexts().map((c) => c.close())))

async function desk(name = '林', role = 'operator') {
  const d = await openDesk(browser, { url: world.url, search: '#/system' })
  await sitDown(d, { token: world.admin, name, role })
  return { d, page: d.page, keys: d.page.keyboard, h: new Hands(d), $: (s, o) => d.page.locator(s, o) }
}
/** tampered is the alarm of a door that was opened by force, and its ticket. */
async function tampered(point) {
  await world.say('sn:' + point, { tamper: true, seq: 1 })
  return until('a ticket of ' + point, async () => (await world.api(`/alarms?state=active&point=${point}`)).items.find((a) => a.point === point && a.ticket))
}
const alarmOf = (id) => world.api('/alarms/' + id)
const windows = async (kind) => (await world.api('/windows?state=open&limit=50')).items.filter((w) => w.kind === kind)
const none = (failed, d) => {
  assert.deepEqual(failed, [])
  assert.deepEqual(d.errors, [])
}

test('Alarms: sound, acknowledge, choose many, comment, shelve and undo, out of service and its end, take, give back, filters, lists', async () => {
  const a = []
  for (const i of [0, 1, 2]) a.push(await tampered('k-' + i))
  const { d, page, keys, h, $ } = await desk('陈', 'supervisor')
  await openPlace(d, '#/alarms')
  const line = (x) => $(`[data-testid=queue] [data-alarm="${x.id}"]`)
  const on = async (x) => {
    await line(x).waitFor()
    for (let n = 0; n < 30; n++) {
      if ((await line(x).getAttribute('class')).split(' ').includes('at')) return
      await keys.press(n < 15 ? 'j' : 'k')
    }
    throw new Error('no line by j and k')
  }
  const form = $('form.card')
  const views = page.getByRole('tablist').first()
  none(await table([
    ['the sound is armed', () => h.press($('[data-testid=sound][data-sound=off] button')), () => $('[data-testid=sound][data-sound=armed]').count()],
    ['acknowledged', async () => { await on(a[0]); await keys.press('a') }, async () => (await alarmOf(a[0].id)).acked_by === '陈'],
    ['two chosen and acknowledged', async () => { await on(a[1]); await keys.press('x'); await on(a[2]); await keys.press('x'); await h.press($('.tools button.primary')) }, async () => (await alarmOf(a[1].id)).acked && (await alarmOf(a[2].id)).acked],
    ['commented', async () => { await on(a[0]); await keys.press('c'); await form.waitFor(); await keys.type('已致电物业'); await keys.press('Control+Enter') }, async () => JSON.stringify(await world.api(`/alarms/${a[0].id}/history`)).includes('已致电物业')],
    ['shelved for eight hours', async () => { await on(a[0]); await keys.press('s'); await h.choose(form.locator('select'), 'h8'); await h.write(form.locator('textarea'), '施工'); await h.press(form.locator('button.primary')) }, async () => (await windows('shelved')).length === 1],
    ['put back by undo', () => h.press($('.toast').getByRole('button', { name: '撤销' })), async () => (await windows('shelved')).length === 0],
    ['out of service', async () => { await on(a[1]); await keys.press('o'); await h.write(form.locator('textarea'), '更换门磁'); await h.press(form.locator('button.primary')) }, async () => (await windows('out_of_service')).length === 1],
    ['its end, from what is held back', async () => { await h.tab(views, /搁置|暂停|抑制|屏蔽/); await h.press($('.held').getByRole('button').first()) }, async () => (await windows('out_of_service')).length === 0],
    ['an old alarm opened from the history', async () => { await h.tab(views, /历史/); await h.row(page.getByRole('grid').or($('[data-testid=queue]')), '号防火门') }, () => $('aside .facts').count()],
    ['its point opened by its link', () => h.press($('aside .facts a').first()), () => page.url().includes('point=k-')],
    ['a seat taken', async () => { await openPlace(d, '#/alarms'); await h.press($('[data-testid=seat]')); await h.press($('aside [data-seat=desk-1] [data-do=sit]')) }, () => $('[data-testid=seat][data-why=watching]').count()],
    ['an alarm taken', async () => { await keys.press('Escape'); await on(a[2]); await keys.press('m') }, async () => (await alarmOf(a[2].id)).taken?.by === '陈'],
    ['and given back', async () => { await on(a[2]); await keys.press('Shift+M'); await h.write($('[data-testid=take-sheet] textarea'), '去现场'); await keys.press('Control+Enter') }, async () => !(await alarmOf(a[2].id)).taken],
    ['opened by its priority alone', () => h.press($('.tools [aria-pressed]').first()), () => page.url().includes('priority=1')],
    ['and all again', () => h.press(page.getByRole('button', { name: /清除/ })), () => !page.url().includes('priority=1')],
    ['its ticket', async () => { await on(a[2]); await keys.press('t') }, () => $('[data-testid=moves]').count()],
  ], until), d)
})

test('Tickets: board and list, each move that a desk may make, with a photo, forced by two, and the paper', async () => {
  const t = []
  for (const i of [3, 4, 5, 6]) t.push((await tampered('k-' + i)).ticket)
  const told = await world.api('/events', { method: 'POST', body: { type: 'manhole.open', source: 'patrol', external: 'X-1', point: 'p-cover', text: '盖子松动', by: { name: '林', role: 'operator' } } })
  const { d, page, keys, h, $ } = await desk('陈', 'supervisor')
  const form = $('[data-testid=move-form]')
  const ticket = (id) => world.api('/tickets/' + id)
  const open = async (id) => { await openPlace(d, '#/tickets?ticket=' + id); await $('[data-testid=moves]').waitFor() }
  const make = (verb, fill) => async () => {
    await h.press($(`[data-testid=moves] [data-verb=${verb}]`))
    await form.waitFor()
    await fill?.()
    await h.press(form.locator('button').first())
    await form.waitFor({ state: 'detached' })
  }
  const source = () => h.write(form.locator('input:not([type])').first(), '电话')
  const reason = (words) => h.write(form.locator('textarea'), words)
  const state = (id, ...want) => async () => want.includes((await ticket(id)).state)
  const part = (unit, want) => async () => (await ticket(t[0])).assignments.some((x) => x.unit === unit && x.state === want)
  const photo = { name: 'door.png', mimeType: 'image/png', buffer: Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64') }
  await page.evaluate(() => (window.print = () => (window.printed = true)))
  none(await table([
    ['the list and a ticket in it', async () => { await openPlace(d, '#/tickets'); await $('[data-testid=board]').waitFor(); await keys.press('b'); await h.row(page.getByRole('grid'), '3 号防火门') }, () => $('[data-testid=moves]').count()],
    ['closed and the board again', async () => { await keys.press('Escape'); await keys.press('b') }, () => $('[data-testid=board]').count()],
    ['a card opened by j and Enter', async () => { await keys.press('j'); await keys.press('Enter') }, () => $('[data-testid=moves]').count()],
    ['assigned', async () => { await open(t[0]); await make('assign', () => h.choose(form.locator('select'), 'prop-1'))() }, async () => (await ticket(t[0])).assignments.some((x) => x.unit === 'prop-1')],
    ['accepted by telephone', make('accept', source), async () => (await ticket(t[0])).assignments.some((x) => x.state === 'accepted')],
    ['arrived', make('arrive', source), async () => (await ticket(t[0])).assignments.some((x) => x.state === 'in_progress')],
    ['suspended', make('suspend', async () => { await h.when(form.locator('input[type=datetime-local]'), '2027-03-01 12:30'); await reason('等配件') }), async () => (await ticket(t[0])).assignments.some((x) => x.state === 'suspended')],
    ['resumed', make('resume'), async () => (await ticket(t[0])).assignments.some((x) => x.state === 'in_progress')],
    ['noted with a photo', make('note', async () => { await reason('见照片'); await h.file(form.locator('input[type=file]'), photo) }), async () => (await world.api(`/tickets/${t[0]}/evidence`)).items.length === 1],
    ['verified', make('verify', async () => { await h.choose(form.locator('select'), 'true'); await h.press(form.locator('input[type=checkbox]'), 'Space') }), async () => (await ticket(t[0])).verification === 'true'],
    ['resolved', make('resolve', source), async () => (await ticket(t[0])).assignments.some((x) => x.state === 'resolved')],
    ['its whole way and its photos', async () => { await h.tab($('aside').getByRole('tablist'), /全过程/); await h.tab($('aside').getByRole('tablist'), /照片/) }, () => $('aside img').count()],
    ['printed', () => keys.press('p'), () => page.evaluate(() => window.printed)],
    ['merged into another', async () => { await open(t[1]); await make('merge', async () => { await h.choose(form.locator('select'), t[2]); await reason('同一起') })() }, state(t[1], 'merged')],
    ['split again', async () => { await open(t[2]); await make('split', async () => { await keys.press('ArrowDown'); await reason('不是同一起') })() }, async () => ((await ticket(t[2])).members?.length ?? 0) <= 1],
    ['returned by its unit', async () => { await open(t[2]); await make('return', async () => { await source(); await reason('非本单位'); await h.choose(form.locator('select'), 'prop-1') })() }, async () => (await ticket(t[2])).returns > 0],
    ['cancelled', async () => { await open(told.ticket.id); await make('cancel', async () => { await h.press(form.locator('input[type=checkbox]'), 'Space'); await reason('误报') })() }, async () => !['dispatched', 'filed', 'accepted', 'in_progress'].includes((await ticket(told.ticket.id)).state)],
    ['asked to be closed by force', async () => { await open(t[3]); await make('force_close', () => reason('系统误建'))() }, async () => !!(await ticket(t[3])).asked],
  ], until), d)
  const other = await desk('王', 'supervisor')
  const agree = other.$('[data-testid=move-form]')
  none(await table([['and agreed to by another', async () => {
    await openPlace(other.d, '#/tickets?ticket=' + t[3])
    await other.h.press(other.$('[data-testid=moves] [data-verb=force_close]'))
    await other.h.write(agree.locator('textarea'), '同意')
    await other.h.press(agree.locator('button').first())
  }, state(t[3], 'force_close')]], until), other.d)
})

test('Duty: a report, a hazard, a permit, an exercise, the posture, a handover, a shift and its undo, the sheets of the night, leaving the seat', async () => {
  const { d, page, keys, h, $ } = await desk('吴', 'supervisor')
  const report = $('[data-testid=report]')
  const hazards = async () => (await world.api('/hazards?limit=20')).items
  const act = $('[data-testid=hazard-form]')
  const make = (verb, fill) => async () => {
    await h.press($(`[data-testid=hazard-moves] [data-verb=${verb}]`))
    await act.waitFor()
    await fill?.()
    await keys.press('Control+Enter')
    await act.waitFor({ state: 'detached' })
  }
  const pick = async (field, text) => {
    await h.write(field, text)
    await field.first().evaluate((el) => new Promise((go, fail) => { // the one it comes to is in sight
      const end = performance.now() + 8_000
      const look = () => document.querySelector(`#${CSS.escape(el.id)}-list [role=option]`) ? go() : performance.now() > end ? fail(Error('nothing is found')) : requestAnimationFrame(look)
      look()
    }))
    await keys.press('Enter')
  }
  const window = $('[data-testid=window-form]')
  none(await table([
    ['a seat taken', async () => { await openPlace(d, '#/duty'); await h.press($('#main [data-seat=desk-1] [data-do=sit]')) }, async () => (await world.api('/seats')).items.some((x) => x.id === 'desk-1' && x.person === '吴')],
    ['a hazard filed', async () => {
      await openPlace(d, '#/duty/hazards')
      await keys.press('n')
      await h.to(report.locator('input[type=radio]:checked'))
      for (let n = 0; n < 6 && !(await report.locator('input[value=patrol]').isChecked()); n++) await keys.press('ArrowDown')
      await until('kinds are known', () => $('[data-testid=what]').evaluate((el) => document.querySelectorAll(`#${CSS.escape(el.id)}-list [role=option]`).length > 3))
      await h.write($('[data-testid=what]'), '疏散')
      await keys.press('Enter')
      await report.getByText('出口是否上锁').waitFor()
      await h.write($('[data-testid=where]'), '天山路 18 弄 3 号楼后门')
      await keys.press('Enter')
      await h.to(report.getByRole('radiogroup', { name: '通道是否畅通' }).getByRole('radio').first())
      await keys.press('Space')
      await keys.press('Control+Enter')
      await $('[data-testid=hazard-moves]').waitFor()
    }, async () => (await hazards()).length === 1],
    ['its unit told', async () => { if ((await hazards())[0].state === 'found') await make('notify', () => h.choose(act.locator('select'), 'prop-1'))() }, async () => (await hazards())[0].state !== 'found'],
    ['its deadline moved', make('extend', () => h.write(act.locator('textarea'), '锁具已订购'))],
    ['begun', make('start', () => h.write(act.locator('input').first(), '物业吴')), async () => ['rectifying', 'in_progress', 'started'].includes((await hazards())[0].state)],
    ['a permit', async () => {
      await openPlace(d, '#/duty/permits')
      await h.press(page.getByRole('button', { name: '新许可' }))
      await pick($('[data-testid=points]'), '雨水井')
      await pick($('[data-testid=holder]'), '仙霞物业')
      await h.write(window.locator('textarea'), '清淤')
      await keys.press('Control+Enter')
    }, async () => (await world.api('/permits?state=open')).items.length === 1],
    ['an exercise', async () => {
      await openPlace(d, '#/duty/exercises?add=1')
      await pick($('[data-testid=points]'), '5号楼 6F')
      await until('the script has its line', () => window.locator('.points select').count())
      await h.choose(window.locator('.points select'), 'smoke.alarm')
      await h.write(window.locator('textarea'), '演练')
      await keys.press('Control+Enter')
    }, async () => (await world.api('/exercises?state=open')).items.length === 1],
    ['the posture', async () => {
      await openPlace(d, '#/duty/posture')
      const form = $('[data-testid=posture-form]')
      await h.choose(form.locator('select').first(), 'typhoon')
      await h.write(form.locator('input'), '红色预警')
      await h.press(form.locator('button'))
    }, async () => (await world.api('/posture')).posture === 'typhoon'],
    ['and back', () => h.press(page.getByRole('button', { name: '恢复正常' })), async () => (await world.api('/posture')).posture === 'normal'],
    ['a handover', async () => { await openPlace(d, '#/duty/handover'); await h.press($('[data-do=make]')); await h.write($('[data-testid=make-handover] textarea'), '电梯停运'); await h.press($('[data-testid=make-handover] button.primary')) }, async () => (await world.api('/handovers')).items.length === 1],
    ['signed', () => h.press($('[data-testid=sign] button.primary')), async () => (await world.api('/handovers')).items[0].outgoing?.by?.name === '吴'],
    ['on paper', async () => { const [file] = await Promise.all([page.waitForEvent('download'), h.press($('[data-do=pdf]'))]); assert.match(file.suggestedFilename(), /pdf$/) }],
    ['a shift', async () => {
      await openPlace(d, '#/duty/roster')
      await h.press($('[data-do=add-shift]'))
      const form = $('[data-testid=shift-form]')
      await h.write(form.locator('input').nth(0), 'seat:duty-lead')
      await h.write(form.locator('input').nth(1), 'lead-day')
      await h.when(form.locator('input[type=datetime-local]').first(), '2026-01-01 00:00')
      await h.press(form.locator('button.primary'))
    }, async () => (await world.api('/rosters/duty?for=seat:duty-lead')).persons.length === 1],
    ['ended', () => h.press($('[data-shift] [data-do=end-shift]')), async () => !(await world.api('/rosters/duty?for=seat:duty-lead')).persons?.length],
    ['and put back', () => h.press($('.toast').getByRole('button', { name: '撤销' }).last()), async () => (await world.api('/rosters/duty?for=seat:duty-lead')).persons.length === 1],
    ['the sheets of the night', async () => { await openPlace(d, '#/duty/sheets'); await h.press($('[data-do=make-night]')); await $('[data-night]').first().waitFor(); await Promise.all([page.waitForEvent('download'), h.press($('[data-night]'))]) }],
    ['the seat left', async () => { await openPlace(d, '#/duty'); await h.press($('#main [data-do=leave]')) }, async () => !!(await world.api('/seats')).items.find((x) => x.id === 'desk-1').left],
  ], until), d)
})

test('Units, points and devices: a dead letter sent again, a stranger claimed, one set aside, barred and undone, replayed, discarded, a sheet applied and undone, a new version tried', async () => {
  await world.say('sn:smoke-1', { 'smoke.alarm': true, seq: 1 })
  for (const id of ['sn:new-1', 'sn:new-2']) await world.say(id, { 'smoke.alarm': false, seq: 1 })
  await world.say('sn:cover-1', 'not json at all')
  const dead = await until('a letter is dead', async () => (await world.api('/deliveries?unit=fire-1&state=dead')).items[0])
  answer = 200
  const { d, page, keys, h, $ } = await desk()
  const device = async (id) => world.api('/devices/' + enc(id))
  const grid = page.locator('#main').getByRole('grid')
  const waiting = async (type) => (await world.api('/quarantine?state=waiting&type=' + type)).items.length
  const act = async (name) => {
    await h.press(page.getByRole('button', { name: '处置' }))
    await page.getByRole('menu').waitFor()
    for (let n = 0; n < 12 && (await page.evaluate(() => document.activeElement.textContent.trim())) !== name; n++) await keys.press('ArrowDown')
    await keys.press('Enter')
  }
  none(await table([
    ['a unit opened', async () => { await openPlace(d, '#/units'); await h.row(grid.first(), '仙霞微型消防站') }, () => $('aside .facts').count()],
    ['a dead letter sent again', async () => { await openPlace(d, '#/units?view=deliveries&delivery=' + dead.id); await h.press($('[data-testid=resend]').last()); await h.press($('[data-testid=resend-yes]')) }, async () => (await world.api('/deliveries/' + dead.id)).state === 'received'],
    ['a point found and opened', async () => { await openPlace(d, '#/points'); await h.write(page.getByRole('searchbox'), '走廊'); await h.row(grid, '走廊') }, () => page.url().includes('point=p-new')],
    ['its tabs', async () => { await h.tab($('aside').getByRole('tablist').first(), /历史|曲线|过去/) }, () => page.url().includes('tab=past')],
    ['a stranger claimed', async () => {
      await openPlace(d, '#/devices/discovered')
      await h.row(grid, 'sn:new-1')
      await h.write(page.getByRole('combobox', { name: '固件配置' }), 'gridgate/json')
      await h.write(page.getByRole('combobox', { name: '点位编号' }), 'p-new')
      await h.press(page.getByRole('button', { name: '认领', exact: true }))
    }, async () => (await device('sn:new-1')).installations[0].point === 'p-new'],
    ['another set aside', async () => {
      await openPlace(d, '#/devices/discovered')
      await h.row(grid, 'sn:new-2')
      await h.press($('aside summary', { hasText: '忽略' }))
      await h.write($('aside details[open] input, aside details[open] textarea').last(), '邻区设备')
      await keys.press('Enter')
    }, async () => JSON.stringify((await world.api('/discovered?limit=50')).items.find((x) => x.identity === 'sn:new-2') ?? 'gone').match(/ignored|aside|gone|refused/)],
    ['a device barred', async () => {
      await openPlace(d, '#/devices?device=' + enc('sn:door-1'))
      await act('停用')
      await h.write($('aside').getByLabel('原因 *'), '误报频繁')
      await h.press($('aside').getByRole('checkbox').last(), 'Space')
      await h.press($('aside').getByRole('button', { name: '停用' }).last())
    }, async () => (await device('sn:door-1')).state === 'barred'],
    ['and back by undo', () => h.press($('.toast').getByRole('button', { name: '撤销' }).last()), async () => (await device('sn:door-1')).state !== 'barred'],
    ['what cannot be read replayed', async () => { await openPlace(d, '#/devices/quarantine?reason=undecodable'); await h.press(page.getByRole('checkbox', { name: '选择全部已读的行' }), 'Space'); await h.press(page.getByRole('button', { name: '重放 1 条' })) }, () => $('[data-testid=quar-result]').count()],
    ['and discarded', async () => {
      await h.press(page.getByRole('checkbox', { name: '选择全部已读的行' }), 'Space')
      await h.press(page.getByRole('button', { name: /丢弃 1 条/ }))
      await h.write(page.getByLabel('原因 *'), '线路测试')
      await h.press(page.getByRole('button', { name: '丢弃', exact: true }))
    }, async () => (await waiting('undecodable')) === 0],
    ['a sheet applied', async () => {
      await openPlace(d, '#/devices/imports')
      const sheet = '点位编号,点位名称,点位类型,地址,经度,纬度,坐标系\nX-1,一号井盖,井盖,天山路 1 号,121.4,31.21,WGS84\n'
      await h.file(page.getByLabel('CSV 或 XLSX 文件'), { name: '安装表.csv', mimeType: 'text/csv', buffer: Buffer.from(sheet) })
      await h.press(page.getByRole('button', { name: '检查（不改动）' }))
      await h.press($('aside').getByRole('button', { name: /应用/ }).first())
    }, async () => (await world.api('/points?q=X-1')).items.length === 1],
    ['and taken back', async () => { for (let n = 0; n < 2; n++) await h.press(page.getByRole('button', { name: '撤销这次导入' })) }, async () => (await world.api('/points?q=X-1&state=active')).items.length === 0],
    ['a new version checked and begun as a shadow', async () => {
      await openPlace(d, '#/devices/profiles?profile=' + enc('gridgate/json') + '&tab=new')
      await h.press(page.getByRole('button', { name: 'profile.yaml' }))
      const text = page.getByRole('textbox', { name: 'profile.yaml' })
      await h.to(text)
      const old = await text.inputValue()
      await keys.press('Control+a')
      await keys.insertText(old.replace(/version: "?([\w.]+)"?/, 'version: "$1-trial"'))
      await h.press(page.getByRole('button', { name: /^1 / }))
      await h.press(page.getByRole('button', { name: /^2 / }))
      await $('[data-testid=diff]').waitFor()
      await h.press(page.getByRole('button', { name: /^3 / }))
    }, async () => (await world.api('/profiles/' + enc('gridgate/json') + '/rollout')).running],
  ], until), d)
})
