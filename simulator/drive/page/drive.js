// The page: what may be done on the right, where on the map, what comes of it below. All it
// does goes by the API that docs/drive.md tells.
import { Map2D } from './map.js'
import { words } from './words.js'

const $ = (id) => document.getElementById(id)
const kept = (key, otherwise) => { try { return localStorage['gridgate.' + key] ?? otherwise } catch { return otherwise } }
const keep = (key, v) => { try { localStorage['gridgate.' + key] = v } catch { /* for this once, then */ } }

let lang = kept('lang', navigator.language.startsWith('zh') ? 'zh' : 'en')
let theme = kept('theme', matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark')
let world = { points: [], acts: [], manners: [], scenarios: [] }
let live = { alarms: [], tickets: [], units: [], faults: [], doing: {}, ledger: {} }
let tab = 'points'
let chosen = ''
let typed = ''
let kinds = new Set(['smoke', 'door', 'parking', 'manhole'])
let lines = []
let clockAt = performance.now()
const busy = new Set()
const narrow = matchMedia('(max-width: 860px)').matches
const [most, listed] = narrow ? [2, 10] : [6, 60] // alarms on the map, points in the list

const say = (key, n) => words[key][lang === 'zh' ? 0 : 1].replace('{n}', n)
const of = (t) => t[lang]
const point = (id) => world.points.find((p) => p.id === id)
const map = new Map2D($('map'), choose)
map.label = of
map.houseName = (id) => (/^sim-demo-\d+$/.test(id) ? say('house', id.slice(9)) : '')

/** h makes an element; a function is what a click does, a key survives being drawn again. */
function h(tag, props = {}, ...children) {
  const el = document.createElement(tag)
  for (const [k, v] of Object.entries(props)) {
    if (v === undefined || v === false) continue
    if (typeof v === 'function') el.addEventListener(k, v)
    else el.setAttribute(k, v === true ? '' : v)
  }
  el.append(...children.flat().filter((c) => c !== undefined && c !== null && c !== ''))
  return el
}

/** put draws children into el anew, if what they are made of has changed, and keeps the focus. */
const drawn = new WeakMap()
function put(el, made, ...from) {
  const now = JSON.stringify([lang, ...from])
  if (drawn.get(el) === now) return
  drawn.set(el, now)
  const had = el.contains(document.activeElement) ? document.activeElement.dataset.key : undefined
  const top = el.scrollTop
  el.replaceChildren(...made().flat())
  el.scrollTop = top
  if (had) el.querySelector(`[data-key="${CSS.escape(had)}"]`)?.focus({ preventScroll: true })
}

function mark(kind) {
  const path = { smoke: 'M8 2a6 6 0 1 0 .01 0z', door: 'M3 3h10v10H3z', parking: 'M8 1l7 7-7 7-7-7z', manhole: 'M15 8l-3.5 6h-7L1 8l3.5-6h7z' }[kind]
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', '0 0 16 16')
  svg.setAttribute('class', 'mark')
  svg.setAttribute('aria-hidden', 'true')
  const p = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  p.setAttribute('d', path)
  svg.append(p)
  return svg
}

let toastEnd
function complain(text) {
  $('toast').textContent = say('refused') + text
  clearTimeout(toastEnd)
  toastEnd = setTimeout(() => ($('toast').textContent = ''), 8000)
}

/** tell asks the server to do something; what it refuses is said. */
async function tell(path, body, key) {
  busy.add(key)
  draw()
  try {
    const res = await fetch('api/' + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
    if (!res.ok) complain((await res.json()).detail)
  } catch {
    complain(say('lost'))
  }
  busy.delete(key)
  draw()
}

function choose(id) {
  chosen = id
  map.chosen = id
  if (id) { tab = 'points'; map.see(id) }
  map.draw()
  draw()
  if (id) $('pane').scrollTop = 0
}

const tabNames = ['points', 'units', 'faults', 'scenarios']

function drawTabs() {
  const broken = live.faults.filter((f) => f.on).length
  put($('tabs'), () => tabNames.map((t) =>
    h('button', { role: 'tab', type: 'button', id: 'tab-' + t, 'data-key': t, 'aria-selected': String(t === tab), 'aria-controls': 'pane', tabindex: t === tab ? '0' : '-1',
      click: () => { tab = t; draw() },
      keydown: (e) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[e.key]
        if (!by) return
        tab = tabNames[(tabNames.indexOf(t) + by + tabNames.length) % tabNames.length]
        draw()
        $('tab-' + tab).focus()
      } }, say(t) + (t === 'faults' && broken ? ` (${broken})` : ''))), tab, broken)
  $('pane').setAttribute('aria-labelledby', 'tab-' + tab)
}

/** drawPoints is the chosen point with what can happen there, and the list. */
function drawPoints() {
  const p = point(chosen)
  const here = live.alarms.filter((a) => a.point === chosen)
  const work = live.tickets.filter((t) => t.point === chosen)
  const found = world.points.filter((p) => kinds.has(p.kind) && matches(p))
  put($('pane'), () => [
    p ? card(p, here, work) : h('p', { class: 'soft' }, say('pick')),
    h('label', { class: 'sr', for: 'find' }, say('find')),
    h('input', { type: 'search', id: 'find', 'data-key': 'find', placeholder: say('find'), value: typed, input: (e) => { typed = e.target.value; draw() } }),
    h('div', { class: 'choice', role: 'group', 'aria-label': say('points') }, Object.keys(counts()).map((k) =>
      h('button', { type: 'button', class: 'btn', 'data-key': 'kind-' + k, 'aria-pressed': String(kinds.has(k)), click: () => { kinds = new Set(kinds.symmetricDifference(new Set([k]))); draw() } }, mark(k), `${say(k)} ${counts()[k]}`))),
    found.length ? h('ul', { class: 'list' }, found.slice(0, listed).map((p) =>
      h('li', {}, h('button', { type: 'button', 'data-key': 'p-' + p.id, 'aria-pressed': String(p.id === chosen), click: () => choose(p.id) },
        mark(p.kind), h('span', { class: 'name' }, of(p.name)), state(p.id))))) : h('p', { class: 'soft' }, say('nothing')),
    found.length > listed ? h('p', { class: 'soft small' }, say('more', found.length - listed)) : '',
  ], 'points', chosen, here, work, typed, [...kinds], live.doing, live.alarms.map((a) => [a.point, a.priority]), [...busy], world.points.length)
}

function matches(p) {
  const want = typed.trim().toLowerCase()
  return !want || [p.id, p.name.zh, p.name.en, p.address.zh, p.address.en, p.model].some((t) => t.toLowerCase().includes(want))
}

function counts() {
  const out = {}
  for (const p of world.points) out[p.kind] = (out[p.kind] ?? 0) + 1
  return out
}

function state(id) {
  const a = live.alarms.find((a) => a.point === id)
  if (a) return h('span', { class: `chip p${a.priority}` }, `P${a.priority} ${of(a.title)}`)
  const doing = live.doing[id]
  return doing ? h('span', { class: 'chip' }, of(world.acts.find((a) => a.name === doing).label)) : undefined
}

function card(p, here, work) {
  const doing = live.doing[p.id]
  return h('div', { class: 'card', id: 'card' },
    h('div', { class: 'head' }, mark(p.kind), h('h3', {}, of(p.name)), 
      h('button', { type: 'button', class: 'btn', 'data-key': 'deselect', 'aria-label': say('close'), click: () => choose('') }, '✕')),
    h('p', { class: 'soft small' }, `${of(p.address)} · ${say('model')} ${p.model}`),
    h('p', {}, say('isNow') + ' ', h('span', { class: 'chip' }, doing ? of(world.acts.find((a) => a.name === doing).label) : say('calm')),
      ...here.map((a) => h('span', { class: `chip p${a.priority}` }, `P${a.priority} ${of(a.title)}`))),
    ...work.map((t) => h('p', { class: 'small' }, h('b', { class: 'p' + t.priority }, 'P' + t.priority), ` ${t.case} · ${of(t.title)} · ${of(t.words)}`)),
    h('div', { class: 'acts', role: 'group', 'aria-label': of(p.name) }, p.can.map((name) => {
      const a = world.acts.find((a) => a.name === name)
      return h('button', { type: 'button', class: `btn ${{ fire: 'hot', normal: 'calm' }[name] ?? ''}`, 'data-key': 'act-' + name, 'data-act': name, disabled: busy.has('act'), 'aria-pressed': String(doing === name),
        click: () => tell(`points/${encodeURIComponent(p.id)}/act`, { do: name }, 'act') }, of(a.label), h('small', {}, of(a.then)))
    })))
}

function drawUnits() {
  put($('pane'), () => [
    h('p', { class: 'soft' }, say('unitHint')),
    ...live.units.map((u) => h('div', { class: 'card' }, h('h3', { id: 'u-' + u.id }, of(u.name)),
      h('div', { class: 'choice', role: 'radiogroup', 'aria-labelledby': 'u-' + u.id }, world.manners.map((m) =>
        h('button', { type: 'button', class: 'btn', role: 'radio', 'data-key': u.id + m.name, 'aria-checked': String(u.be === m.name), disabled: busy.has('unit'),
          click: () => tell('units/' + encodeURIComponent(u.id), { be: m.name }, 'unit') }, of(m.label)))),
      h('p', { class: 'soft small' }, of(world.manners.find((m) => m.name === u.be).then)))),
  ], 'units', live.units, [...busy], world.manners.length)
}

function drawFaults() {
  put($('pane'), () => [
    h('p', { class: 'soft' }, say('faultHint')),
    ...live.faults.map((f) => h('div', { class: f.on ? 'card on' : 'card' },
      h('div', { class: 'head' }, h('h3', {}, of(f.label)), f.on ? h('span', { class: 'chip bad' }, say('isBroken')) : '',
        f.why ? '' : h('button', { type: 'button', class: f.on ? 'btn calm' : 'btn hot', 'data-key': 'f-' + f.name, 'data-fault': f.name, disabled: f.busy || busy.has(f.name), 'aria-label': `${say(f.on ? 'mendIt' : 'breakIt')}: ${of(f.label)}`,
          click: () => tell('faults/' + encodeURIComponent(f.name), { on: !f.on }, f.name) }, say(f.busy || busy.has(f.name) ? 'wait' : f.on ? 'mendIt' : 'breakIt'))),
      h('p', { class: 'soft small' }, f.why ? say('notHere') + of(f.why) : of(f.then)))),
  ], 'faults', live.faults, [...busy])
}

function drawScenarios() {
  put($('pane'), () => [
    h('div', { class: 'card' }, h('h3', {}, say('console')), h('p', {}, h('code', {}, world.console)), h('p', { class: 'small' }, say('consoleHint') + ' ', h('code', {}, world.token_file ? `cat ${world.token_file}` : '--token'))),
    h('p', { class: 'soft' }, say('scenarioHint')),
    ...world.scenarios.map((s) => h('div', { class: 'card' },
      h('div', { class: 'head' }, h('h3', {}, of(s.title)), h('span', { class: 'chip num' }, say('takes', Math.round(s.seconds)))),
      h('p', { class: 'small' }, of(s.about)), h('p', {}, h('code', {}, `gridsim run ${s.name} --html ${s.name}.html`)))),
  ], 'scenarios', world.scenarios.length)
}


function drawAlarms() {
  const shown = live.alarms.slice(0, most)
  put($('alarms'), () => [
    ...shown.map((a) => h('li', {}, h('button', { type: 'button', class: `btn p${a.priority}`, 'data-key': a.id, click: () => choose(a.point) },
      h('b', {}, 'P' + a.priority), h('span', {}, `${of(a.title)} · ${of(point(a.point)?.name ?? { zh: a.point, en: a.point })}`)))),
    live.alarms.length > shown.length ? h('li', { class: 'soft small' }, say('moreAlarms', live.alarms.length - shown.length)) : '',
  ].filter(Boolean), live.alarms)
  $('alarms').hidden = !live.alarms.length
  map.alarms = new Map(live.alarms.toReversed().map((a) => [a.point, a]))
  map.doing = live.doing
  map.draw()
}

function drawLedger() {
  const g = live.ledger
  const item = (key, n, cls = '') => h('span', { class: cls }, say(key) + ' ', h('b', { 'data-n': key }, String(n ?? 0)))
  put($('ledger'), () => [
    item('sent', live.sent), item('acked', live.acked), item('pending', live.pending), h('span', { class: 'soft', 'aria-hidden': 'true' }, '│'), item('accepted', g.accepted), h('span', { 'aria-hidden': 'true' }, '='),
    ...['processed', 'duplicate', 'ignored', 'quarantined', 'discarded', 'waiting'].map((k) => item(k, g[k], k === 'quarantined' && g[k] > 0 ? 'bad' : '')),
    h('span', { class: g.balanced ? 'good' : 'soft', id: 'balanced' }, say(g.balanced ? 'balanced' : 'unbalanced')),
  ], live.sent, live.acked, live.pending, g)
}

function drawLog() {
  const time = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone: 'Asia/Shanghai' })
  put($('log'), () => lines.length ? lines.map((l) => h('li', { class: `${l.kind === 'act' || l.kind === 'fault' ? 'mine' : ''} ${l.done ? 'over' : ''}` },
    h('time', { class: 'num soft', datetime: l.at }, time.format(new Date(l.at))),
    h('span', { class: 'kind' }, words.kinds[l.kind][lang === 'zh' ? 0 : 1]),
    l.point ? h('button', { type: 'button', class: 'text', 'data-key': 'l-' + l.n, click: () => choose(l.point) }, of(l.text)) : h('span', { class: 'text' }, of(l.text)))) : [h('li', { class: 'empty' }, say('quiet'))], lines[0]?.n)
}

function drawFrame() {
  document.documentElement.lang = lang === 'zh' ? 'zh-CN' : 'en'
  document.documentElement.dataset.theme = theme
  document.title = say('title') + ' · gridsim'
  for (const el of document.querySelectorAll('[data-say]')) el.textContent = say(el.dataset.say)
  for (const el of document.querySelectorAll('[data-name]')) el.setAttribute('aria-label', say(el.dataset.name))
  $('map').setAttribute('aria-label', say('mapHint'))
  $('alarms').setAttribute('aria-label', say('standing'))
  $('lang').textContent = say('other')
  $('theme').textContent = say(theme === 'dark' ? 'light' : 'dark')
  $('console').textContent = say('console') + ' ↗'
  if (world.console) $('console').href = world.console
  $('speed').textContent = world.speed ? (lang === 'zh' ? `${world.speed} 倍速` : `${world.speed}×`) : ''
  put($('legend'), () => Object.entries(counts()).map(([k, n]) => h('li', {}, mark(k), `${say(k)} ${n}`)), world.points.length)
  map.draw()
}

function draw() {
  $('up').textContent = say(live.gateway ? 'up' : 'down')
  $('up').className = 'chip ' + (live.gateway ? 'good' : 'bad')
  drawTabs()
  ;({ points: drawPoints, units: drawUnits, faults: drawFaults, scenarios: drawScenarios })[tab]()
  drawAlarms()
  drawLedger()
  drawLog()
}

function redraw() { drawFrame(); draw() }

$('lang').addEventListener('click', () => { lang = lang === 'zh' ? 'en' : 'zh'; keep('lang', lang); redraw() })
$('theme').addEventListener('click', () => { theme = theme === 'dark' ? 'light' : 'dark'; keep('theme', theme); redraw() })
$('in').addEventListener('click', () => map.zoom(1.5))
$('out').addEventListener('click', () => map.zoom(1 / 1.5))
$('whole').addEventListener('click', () => map.fit(map.points))
$('block').addEventListener('click', () => map.fit(map.points.filter(inBlock)))
const inBlock = (p) => p.id.startsWith('sim-demo-')

setInterval(() => {
  if (!live.now) return
  const now = new Date(Date.parse(live.now) + (performance.now() - clockAt) * (world.speed ?? 1))
  $('now').textContent = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone: 'Asia/Shanghai' }).format(now)
}, 200)

function follow() {
  const stream = new EventSource('api/stream')
  stream.addEventListener('live', (e) => {
    live = JSON.parse(e.data)
    clockAt = performance.now()
    draw()
  })
  let pending = []
  stream.addEventListener('log', (e) => {
    if (!pending.length) requestAnimationFrame(() => { lines = [...pending.toReversed(), ...lines].slice(0, 300); pending = []; drawLog() })
    pending.push(JSON.parse(e.data))
  })
  const trouble = (yes) => { $('trouble').hidden = !yes; $('trouble').textContent = yes ? say('lost') : '' }
  stream.addEventListener('open', () => trouble(false))
  stream.addEventListener('error', () => trouble(true))
}

async function begin() {
  redraw()
  try {
    const ask = async (path) => {
      const res = await fetch('api/' + path)
      if (!res.ok) throw new Error((await res.json()).detail)
      return res.json()
    }
    const [w, areas] = await Promise.all([ask('world'), ask('areas')])
    world = w
    map.show(world.points, areas)
    const first = map.points.filter(inBlock)
    $('block').hidden = !first.length
    map.fit(first.length ? first : map.points)
    follow()
    redraw()
  } catch (err) {
    $('trouble').hidden = false
    $('trouble').textContent = say('broken') + err.message
  }
}

begin()
