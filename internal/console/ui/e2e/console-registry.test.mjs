// Points and devices at the desk: a stranger becomes ours and its point speaks; what waits in
// quarantine is replayed; a sheet with bad rows is shown; a profile is compared line by line.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, inAllLooks, isLive, openBrowser, openDesk, openPlace, registry, settled, shoot, sitDown, sizes, until, World } from './console-harness.mjs'

let world, browser
before(async () => {
  world = await World.open({ seed: registry })
  browser = await openBrowser()
})
after(async () => {
  await browser?.close()
  await world?.close()
})

const enc = encodeURIComponent
async function desk(more = {}) {
  const d = await openDesk(browser, { url: world.url, ...more })
  await sitDown(d, { token: world.admin })
  return d
}

test('A stranger is heard, discovered, claimed at the desk, its frames are replayed and its point shows its live value', async () => {
  await world.say('sn:stranger-1', { 'smoke.alarm': false, 'battery.level': 81, temperature: 22.5, seq: 1 })
  await until('the stranger is discovered', async () => (await world.api('/discovered')).items.some((d) => d.identity === 'sn:stranger-1'))
  const d = await desk()
  const { page } = d
  await openPlace(d, '#/devices/discovered')
  await page.getByRole('gridcell', { name: 'sn:stranger-1' }).click()
  const drawer = page.getByRole('complementary', { name: 'sn:stranger-1' })
  await drawer.getByText('gridgate/json').first().waitFor()
  await accessible(d, 'a stranger')
  await shoot(d, 'stranger')
  await drawer.getByRole('combobox', { name: '固件配置' }).fill('gridgate/json')
  await drawer.getByRole('combobox', { name: '点位编号' }).fill('p-new')
  await drawer.getByRole('button', { name: '认领', exact: true }).click()
  await page.getByText(/sn:stranger-1 已认领，处理了 1 条/).waitFor()
  const device = await world.api('/devices/' + enc('sn:stranger-1'))
  assert.equal(device.installations[0].point, 'p-new')
  await page.getByRole('complementary', { name: '5号楼 6F 走廊烟感' }).waitFor()
  await world.say('sn:stranger-1', { 'smoke.alarm': false, 'battery.level': 80, temperature: 23.5, seq: 2 })
  await until('the live value is shown', async () => (await page.locator('[data-testid=live-values] [data-signal=temperature] b').textContent()) === '23.5 ℃', 60_000)
  assert.equal((await world.api('/quarantine?state=waiting')).items.filter((x) => x.frame.device === 'sn:stranger-1').length, 0)
  await accessible(d, 'a point')
  await shoot(d, 'point')
  assert.deepEqual(d.errors, [])
  await d.context.close()
})

test('Frames in quarantine are grouped by reason, and one is replayed with its result said', async () => {
  await world.say('sn:door-1', 'not json at all')
  await world.say('sn:waiting-1', { 'door.open': true, seq: 1 })
  await until('two wait', async () => (await world.api('/quarantine?state=waiting')).items.length >= 2)
  const d = await desk({ lang: 'en', theme: 'light' })
  const { page } = d
  await openPlace(d, '#/devices/quarantine')
  await page.locator('[data-reason=undecodable]').waitFor()
  await accessible(d, 'quarantine')
  await shoot(d, 'quarantine')
  await page.locator('[data-reason=undecodable]').click()
  await page.getByText('Find out why by trying the payload').waitFor()
  await page.getByRole('checkbox', { name: 'Select all rows that are read' }).check()
  await page.getByRole('button', { name: 'Replay 1', exact: true }).click()
  await page.locator('[data-testid=quar-result]').getByText('0 replayed, 1 still wait').or(page.locator('[data-testid=quar-result]').getByText('1 replayed')).waitFor()
  await page.locator('[data-reason=undecodable]').waitFor()
  await page.getByRole('checkbox', { name: 'Select all rows that are read' }).check()
  await page.getByRole('button', { name: 'Discard 1…' }).click()
  await page.getByLabel('Reason *').fill('a cable that was tested')
  await accessible(d, 'discard')
  await page.getByRole('button', { name: 'Discard', exact: true }).click()
  await page.getByText('1 discarded').first().waitFor()
  await until('it is discarded', async () => (await world.api('/quarantine?state=discarded')).items.length === 1)
  assert.deepEqual(d.errors, [])
  await d.context.close()
})

test('A frame of a device that was barred is replayed from quarantine once the device is back', async () => {
  const id = '/devices/' + enc('sn:cover-1')
  const d = await desk()
  const { page } = d
  await openPlace(d, '#/devices?device=' + enc('sn:cover-1'))
  await page.getByRole('button', { name: '处置' }).click()
  await page.getByRole('menuitem', { name: '停用' }).click()
  const drawer = page.getByRole('complementary', { name: /停用 · sn:cover-1/ })
  assert.ok(await drawer.getByRole('button', { name: '停用' }).isDisabled(), 'nothing is done without a reason and a look')
  await drawer.getByLabel('原因 *').fill('误报频繁')
  await drawer.getByRole('checkbox').check()
  await accessible(d, 'an act')
  await shoot(d, 'device-bar')
  await drawer.getByRole('button', { name: '停用' }).click()
  await until('it is barred', async () => (await world.api(id)).state === 'barred')
  await world.say('sn:cover-1', { 'manhole.open': false, 'battery.level': 70, seq: 1 })
  await until('it waits', async () => (await world.api('/quarantine?state=waiting&type=barred_device')).items.length === 1)
  await page.getByRole('button', { name: '撤销' }).click()
  await until('it is taken back', async () => (await world.api(id)).state !== 'barred')
  await openPlace(d, '#/devices/quarantine?reason=barred_device')
  await page.getByRole('checkbox', { name: '选择全部已读的行' }).check()
  await page.getByRole('button', { name: '重放 1 条' }).click()
  await page.getByText('重放 1 条，0 条仍在等待').first().waitFor()
  await until('nothing of it waits', async () => (await world.api('/quarantine?state=waiting&type=barred_device')).items.length === 0)
  await openPlace(d, '#/devices?device=' + enc('sn:cover-1') + '&tab=frames')
  await page.getByRole('row').filter({ hasText: '7b 22' }).first().click()
  await page.locator('[data-testid=fields]').getByText('manhole.open').waitFor()
  await accessible(d, 'a frame')
  await shoot(d, 'device-frames')
  assert.deepEqual(d.errors, [])
  await d.context.close()
})

test('A sheet with bad rows is checked, its problems stand row by row, the good rows are applied and taken back', async () => {
  const sheet = '点位编号,点位名称,点位类型,地址,经度,纬度,坐标系\nX-1,一号井盖,井盖,天山路 1 号,121.4,31.21,WGS84\nX-2,二号井盖,井盖盖,天山路 2 号,121.4,31.21,WGS84\nX-3,三号烟感,烟感,天山路 3 号,abc,31.21,WGS84\n'
  const d = await desk()
  const { page } = d
  await openPlace(d, '#/devices/imports')
  await page.getByLabel('CSV 或 XLSX 文件').setInputFiles({ name: '安装表.csv', mimeType: 'text/csv', buffer: Buffer.from(sheet) })
  await page.getByRole('button', { name: '检查（不改动）' }).click()
  const problems = page.locator('[data-testid=problems] tbody tr')
  await problems.nth(1).waitFor()
  const said = await problems.allTextContents()
  assert.ok(said.some((x) => x.startsWith('3') && x.includes('井盖盖')), said.join(' | '))
  assert.ok(said.some((x) => x.startsWith('4') && x.includes('abc')), said.join(' | '))
  assert.equal((await world.api('/points?q=X-')).items.length, 0, 'a check changes nothing')
  await accessible(d, 'an import')
  await shoot(d, 'import')
  await page.getByRole('button', { name: '只应用 1 行好的' }).click()
  await until('the good row is there', async () => (await world.api('/points?q=X-')).items.length === 1)
  await page.getByRole('button', { name: '撤销这次导入' }).click()
  await page.getByRole('button', { name: '撤销这次导入' }).click()
  await until('it is taken back', async () => (await world.api('/points?q=X-&state=active')).items.length === 0)
  assert.deepEqual(d.errors, [])
  await d.context.close()
})

test('A new version of a profile is shown line by line, checked, compared with frames, begun as a shadow and taken back', async () => {
  const d = await desk({ lang: 'en' })
  const { page } = d
  await openPlace(d, '#/devices/profiles?profile=' + enc('gridgate/json') + '&tab=new')
  const text = page.getByRole('textbox', { name: 'profile.yaml' })
  await page.getByRole('button', { name: 'profile.yaml' }).click()
  const old = await text.inputValue()
  const version = /version: "?([\w.]+)"?/.exec(old)[1]
  await text.fill(old.replace(/version: .*/, `version: "${version}-trial"`))
  await page.locator('[data-testid=text-diff] .new').getByText(`${version}-trial`).waitFor()
  await page.getByRole('button', { name: '1 Check' }).click()
  await page.getByText('No problem, all cases pass').waitFor()
  await page.getByRole('button', { name: '2 Compare with real frames' }).click()
  await page.locator('[data-testid=diff]').getByText(`Version ${version}-trial against ${version}`).waitFor()
  await accessible(d, 'a new version')
  await shoot(d, 'workbench')
  await page.getByRole('button', { name: '3 Begin as a shadow' }).click()
  await page.getByText('is being rolled out: shadow').waitFor()
  await accessible(d, 'a roll-out')
  await page.getByRole('textbox', { name: 'Reason' }).fill('only a trial')
  await page.getByRole('button', { name: 'Back to the former version' }).click()
  await page.getByText('No roll-out runs').waitFor()
  assert.equal((await world.api('/profiles/' + enc('gridgate/json') + '/rollout')).running, false)
  assert.deepEqual(d.errors, [])
  await d.context.close()
})

const pages = {
  points: '#/points', buildings: '#/points?what=buildings', 'point-now': '#/points?point=p-smoke', 'point-past': '#/points?point=p-smoke&tab=past', 'point-work': '#/points?point=p-door&tab=work', 'point-care': '#/points?point=p-smoke&tab=care', 'point-log': '#/points?point=p-smoke&tab=log',
  devices: '#/devices', device: '#/devices?device=' + enc('sn:smoke-1'), 'device-keys': '#/devices?device=' + enc('sn:smoke-1') + '&tab=keys', discovered: '#/devices/discovered', quarantine: '#/devices/quarantine', frames: '#/devices/frames?lane=safety', profiles: '#/devices/profiles',
  profile: '#/devices/profiles?profile=' + enc('milesight/ws301'), imports: '#/devices/imports',
}

test('Every page of points and devices is without violations in both languages and themes', async () => {
  const d = await desk()
  await inAllLooks(d, async () => {
    await isLive(d)
    for (const [name, hash] of Object.entries(pages)) {
      await openPlace(d, hash)
      await settled(d)
      await accessible(d, name)
    }
  })
  assert.deepEqual(d.errors, [])
  await d.context.close()
})

test('A point is found, opened and closed with the keyboard alone', async () => {
  const d = await desk()
  const { page } = d
  await openPlace(d, '#/points')
  await page.getByRole('searchbox').focus()
  await page.keyboard.type('防火门')
  await page.getByRole('row', { name: /防火门/ }).waitFor()
  await until('the list is narrowed', async () => (await page.getByRole('row').count()) === 2)
  await page.getByRole('grid').focus()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.getByRole('complementary', { name: '3号楼 1F 防火门' }).waitFor()
  assert.match(page.url(), /q=.*point=p-door/)
  await page.keyboard.press('Escape')
  await page.getByRole('complementary', { name: '3号楼 1F 防火门' }).waitFor({ state: 'detached' })
  assert.doesNotMatch(page.url(), /point=/)
  await d.context.close()
})

test('Pictures of the pages at the four sizes', { skip: !process.env.SHOTS }, async () => {
  for (const [i, [width, height]] of sizes.entries()) {
    const d = await desk({ width, height, lang: i % 2 ? 'en' : 'zh', theme: i % 2 ? 'light' : 'dark' })
    for (const [name, hash] of Object.entries(pages)) {
      await openPlace(d, hash)
      await settled(d)
      await shoot(d, name)
    }
    await d.context.close()
  }
})
