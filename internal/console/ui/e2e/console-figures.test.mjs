// Figures at the desk, of a gateway with a hundred days behind it: what is on the screen is what
// the server counts, it is saved as it is shown, and the address keeps what was asked for.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { inflateRawSync } from 'node:zlib'
import { accessible, inAllLooks, isLive, openBrowser, openDesk, openPlace, pictures, registry, settled, shoot, sitDown, until, World } from './console-harness.mjs'

let world, browser, bin, d, page // one desk for all: its language and theme are the last look's
before(async () => {
  bin = mkdtempSync(join(tmpdir(), 'gridgate-history-'))
  execFileSync('go', ['build', '-o', join(bin, 'history'), './internal/gatetest/history'], { cwd: join(import.meta.dirname, '../../../..'), stdio: 'inherit' })
  world = await World.open({ seed: registry })
  await world.kill()
  execFileSync(join(bin, 'history'), [join(world.dir, 'data'), '7', new Date().toISOString()], { stdio: 'inherit' })
  await world.start()
  browser = await openBrowser()
  d = await openDesk(browser, { url: world.url, search: '#/figures' })
  page = d.page
  await sitDown(d, { token: world.admin })
})
afterEach(() => assert.deepEqual(d.errors, []))
after(async () => {
  await browser?.close()
  await world?.close()
  rmSync(bin, { recursive: true, force: true })
})

/** read waits until what a view shows has come. */
const read = async () => {
  await page.locator('.figures .card, .figures table').first().waitFor()
  await settled(d)
}

/** saved presses a button that saves, and gives the file. */
async function saved(page, label) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: label }).click()])
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) }
}

/** lines of a CSV file, as a spreadsheet reads them. */
function lines(bytes) {
  const text = bytes.toString('utf8')
  assert.ok(text.startsWith('\ufeff'), 'it begins with a byte order mark')
  return text.slice(1).trimEnd().split('\r\n').map((l) => [...l.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((m) => m[1]?.replaceAll('""', '"') ?? m[2]))
}

/** unzip gives the parts of a workbook by their names. */
function unzip(b) {
  const parts = {}
  let at = b.readUInt32LE(b.lastIndexOf(Buffer.from('PK\x05\x06')) + 16)
  while (b.readUInt32LE(at) === 0x02014b50) {
    const [method, size, n, extra, comment, offset] = [b.readUInt16LE(at + 10), b.readUInt32LE(at + 20), b.readUInt16LE(at + 28), b.readUInt16LE(at + 30), b.readUInt16LE(at + 32), b.readUInt32LE(at + 42)]
    const name = b.toString('utf8', at + 46, at + 46 + n)
    const from = offset + 30 + b.readUInt16LE(offset + 26) + b.readUInt16LE(offset + 28)
    const raw = b.subarray(from, from + size)
    parts[name] = (method === 8 ? inflateRawSync(raw) : raw).toString('utf8')
    at += 46 + n + extra + comment
  }
  return parts
}

test('The board shows what the server counts, and what is saved are the same rows', async () => {
  await page.keyboard.press('g')
  await page.keyboard.press('f')
  await page.getByRole('heading', { level: 1, name: '指标' }).waitFor()
  await page.getByRole('combobox', { name: '时段' }).selectOption('yesterday')
  await page.getByRole('combobox', { name: '时段' }).selectOption('30d')
  await page.locator('[data-kpi=reported]').waitFor()
  await read()
  const board = await world.api('/kpis?period=30d&compare=true')
  assert.ok(board.whole.figures.find((f) => f.key === 'reported').value > 50, 'there is a history')
  const shown = Object.fromEntries(await page.locator('[data-kpi]').evaluateAll((all) => all.map((x) => [x.dataset.kpi, x.dataset.value])))
  assert.deepEqual(Object.keys(shown).sort(), board.whole.figures.map((f) => f.key).sort(), 'every figure of the server is on the board')
  for (const f of board.whole.figures) if (!/^load/.test(f.key)) assert.equal(shown[f.key], f.value === undefined ? '' : String(f.value), f.key)
  const closing = board.whole.figures.find((f) => f.key === 'closing')
  const card = page.locator('[data-kpi=closing]')
  assert.match(await card.innerText(), new RegExp(`${(closing.value * 100).toFixed(1)} %[^]*${closing.numerator} / ${closing.denominator}`))
  await card.getByRole('button', { name: /怎么算的/ }).click()
  await card.getByText('强制结案不算结案').waitFor()
  await accessible(d, 'the board')
  await card.getByRole('button', { name: /看走势/ }).click()
  const trend = page.locator('[data-testid=trend]')
  await trend.getByRole('heading', { name: /结案率 · 走势/ }).waitFor()
  await trend.getByRole('button', { name: '以表格显示' }).click()
  const course = await world.api('/kpis/trend?period=30d')
  assert.equal(await trend.locator('tbody tr').count(), course.points.length)
  const csv = await saved(page, 'CSV 下载所示内容')
  const rows = lines(csv.bytes).slice(1)
  const has = rows.find((r) => r[4] === 'closing' && r[1] === '全部 / all')
  assert.equal(has[8], String(closing.value))
  const book = unzip((await saved(page, 'XLSX 下载所示内容')).bytes)
  const sheet = book['xl/worksheets/sheet1.xml']
  const figures = board.whole.figures.length + (board.whole.false_alarms?.length ?? 0)
  assert.equal([...sheet.matchAll(/<row /g)].length, figures + 2, 'a title, a head and the figures of the board')
  assert.ok(sheet.includes(`<v>${closing.value}</v>`), 'the number is in the workbook')
})

test('The address keeps period, comparison, street and kind over a reload, and steps go on without a gap', async () => {
  await openPlace(d, '#/figures')
  await page.getByRole('combobox', { name: '时段' }).selectOption('custom')
  await page.getByLabel('首日').waitFor()
  const to = await page.getByLabel('末日').inputValue()
  const from = new Date(Date.parse(to) - 6 * 86_400_000).toISOString().slice(0, 10)
  await page.getByLabel('首日').fill(from)
  await page.getByRole('combobox', { name: '对比' }).selectOption('year')
  await page.getByRole('combobox', { name: '类型' }).selectOption('smoke')
  await page.evaluate(() => (location.hash += '&street=310105001'))
  await page.locator('[data-kpi=reported]').waitFor()
  await page.reload()
  await isLive(d)
  await page.locator('[data-kpi=reported]').waitFor()
  const hash = await page.evaluate(() => location.hash)
  for (const part of [`from=${from}`, `to=${to}`, 'compare=year', 'kind=smoke', 'street=310105001', 'period=custom']) assert.ok(hash.includes(part), `${part} in ${hash}`)
  const want = await world.api(`/kpis?since=${from}T00:00:00%2B08:00&until=${new Date(Date.parse(to + 'T00:00:00Z') + 16 * 3_600_000).toISOString()}&kind=smoke&street=310105001`)
  assert.equal(await page.locator('[data-kpi=reported]').getAttribute('data-value'), String(want.whole.figures[0].value))
  await page.keyboard.press('[')
  await page.waitForFunction((f) => location.hash.includes('to=' + f), new Date(Date.parse(from) - 86_400_000).toISOString().slice(0, 10))
  // What is practice is counted only where it is asked for, and then it is said.
  await openPlace(d, '#/figures?mode=simulated')
  await page.getByText('不是实战').waitFor()
  const practice = await world.api('/kpis?period=30d&mode=simulated')
  await page.locator(`[data-kpi=reported][data-value="${practice.whole.figures[0].value}"]`).waitFor()
  assert.ok(practice.whole.figures[0].value > 0 && practice.whole.figures[0].value < 10)
  await page.getByRole('button', { name: '回到实战' }).click()
  await page.getByText('只统计实战').waitFor()
})

test('Streets are ordered by what is chosen, and each opens its own board', async () => {
  await openPlace(d, '#/figures?view=streets')
  await page.locator('table [data-key="310105001"]').waitFor()
  const board = await world.api('/kpis?period=30d&by=street')
  const by = new Map(board.parts.map((p) => [p.key || '-', p.figures.find((f) => f.key === 'on_time_handling')?.value]))
  await page.getByRole('button', { name: '按期处置率' }).click()
  await page.locator('th[aria-sort=descending]', { hasText: '按期处置率' }).waitFor()
  const order = await page.locator('tbody tr[data-key]').evaluateAll((all) => all.map((x) => x.dataset.key))
  const want = [...by].filter(([, v]) => v !== undefined).map(([, v]) => v).sort((a, b) => b - a)
  assert.deepEqual(order.map((k) => by.get(k)).filter((v) => v !== undefined), want)
  await shoot(d, 'figures-streets')
  const rows = lines((await saved(page, 'CSV 下载所示内容')).bytes)
  for (const k of order.filter((x) => x !== '-')) assert.ok(rows.some((r) => r[1] === k && r[4] === 'on_time_handling'), k)
  await page.locator('tr[data-key="310105002"]').getByRole('link').click()
  await page.locator('[data-kpi=reported]').waitFor()
  const own = await world.api('/kpis?period=30d&street=310105002')
  await page.locator(`[data-kpi=reported][data-value="${own.whole.figures[0].value}"]`).waitFor()
})

test('Hot-spots, sensors, load and models are the server’s, and are saved as they are shown', async () => {
  await openPlace(d, '#/figures?view=hotspots')
  await page.getByText('30 天内 3 起属实的烟感告警').first().waitFor()
  assert.equal(lines((await saved(page, 'CSV 下载所示内容')).bytes).length - 2, await page.locator('tbody tr[data-key]').count())
  await page.getByRole('button', { name: '已移出' }).click()
  await page.getByText('60 天内 1 起属实告警').waitFor()
  await openPlace(d, '#/figures?view=sensors')
  const health = await world.api('/kpis/sensors?period=30d')
  for (const m of health.models) {
    const row = page.locator(`tr[data-key="${m.kind ?? ''}/${m.profile ?? ''}"]`)
    await row.waitFor()
    for (const col of ['installed', 'well', 'silent', 'battery_low', 'faulty', 'silences']) assert.equal((await row.locator(`[data-col=${col}]`).innerText()).trim(), String(m[col]), `${m.profile} ${col}`)
  }
  assert.ok(health.whole.silent > 0 && health.whole.battery_low > 0 && health.whole.faulty > 0, 'devices ail')
  const book = unzip((await saved(page, 'XLSX 下载所示内容')).bytes)
  assert.equal([...book['xl/worksheets/sheet1.xml'].matchAll(/<row /g)].length, 3 + health.kinds.length + health.models.length)
  await openPlace(d, '#/figures?view=load')
  const load = await world.api('/kpis/load?period=30d')
  assert.ok(load.peaks[0].flood, 'there was a flood')
  await page.getByText('洪泛', { exact: true }).first().waitFor()
  assert.equal(await page.getByRole('region', { name: /窗口/ }).locator('tbody tr').count(), load.peaks.length)
  await openPlace(d, '#/figures?view=models')
  const models = await world.api('/kpis/models?period=30d&compare=true')
  await page.locator('tr[data-key="history/smoke-b|smoke"]').waitFor()
  assert.deepEqual(await page.locator('tr[data-key]').evaluateAll((all) => all.map((x) => x.dataset.key)), models.items.map((m) => `${m.profile}|${m.kind ?? ''}`))
  const worst = lines((await saved(page, 'CSV 下载所示内容')).bytes)[2]
  assert.deepEqual([worst[0], worst[4]], [models.items[0].profile, String(models.items[0].value)])
})

test('A gateway without a past says what would be there, and no figure that was not measured is 0', async () => {
  await openPlace(d, '#/figures?period=custom&from=2020-01-01&to=2020-01-31')
  await page.getByText('这个时段还没有工单').waitFor()
  assert.match(await page.locator('[data-kpi=closing]').innerText(), /无数据/)
  assert.equal(await page.locator('[data-kpi=closing]').getAttribute('data-value'), '')
})

test('The sheet of paper is A4, white, and has no rail', async () => {
  await openPlace(d, '#/figures')
  await read()
  const pdf = await page.pdf({ preferCSSPageSize: true })
  const dir = process.env.SHOTS ? join(import.meta.dirname, '../shots') : bin
  mkdirSync(dir, { recursive: true })
  const path = join(dir, 'console-figures.pdf')
  writeFileSync(path, pdf)
  const text = execFileSync('pdftotext', ['-layout', path, '-'], { encoding: 'utf8' })
  assert.match(execFileSync('pdfinfo', [path], { encoding: 'utf8' }), /A4/)
  assert.match(text, /结案率/)
  assert.match(text, /时效阶梯/)
  assert.doesNotMatch(text, /态势/, 'the rail is not printed')
})

const views = ['board', 'streets', 'hotspots', 'sensors', 'load', 'models', 'contractors']

test('Every view is accessible in both languages and themes, and fits a telephone; colours follow the theme at once', async () => {
  await inAllLooks(d, async () => {
    const [width, height] = d.lang === 'zh' ? [390, 844] : [1366, 768]
    await page.setViewportSize({ width, height })
    Object.assign(d, { width, height })
    for (const view of views) {
      await openPlace(d, '#/figures?view=' + view)
      await read()
      await accessible(d, view)
    }
  })
  // The chart is drawn anew in the other theme's colours, without a reload.
  await openPlace(d, '#/figures')
  await read()
  const ink = () => page.locator('.canvas canvas').first().evaluate((c) => c.toDataURL())
  const before = await ink()
  await page.locator('.tools [aria-haspopup=menu]').click()
  await page.getByRole('menuitem', { name: d.theme === 'light' ? /Dark|深色/ : /Light|浅色/ }).click()
  await until('it has other colours', async () => (await ink()) !== before)
  d.theme = d.theme === 'light' ? 'dark' : 'light' // the look that it has now: pictures are named by it
})

test('Pictures of every view', { skip: !process.env.SHOTS && 'make web-shots makes them' }, () => pictures(d, Object.fromEntries(views.map((v) => ['figures-' + v, '#/figures?view=' + v])), read))
