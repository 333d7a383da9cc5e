// The map: drawn from the points' coordinates and the gateway's areas, with nothing from
// elsewhere. North is up; a degree of longitude is as long as it is at this latitude.
export const shapes = {
  smoke: (c, x, y, r) => c.arc(x, y, r, 0, 7),
  door: (c, x, y, r) => c.rect(x - r * 0.85, y - r * 0.85, r * 1.7, r * 1.7),
  parking: (c, x, y, r) => poly(c, x, y, r * 1.15, 4, 0),
  manhole: (c, x, y, r) => poly(c, x, y, r * 1.1, 6, 0),
}

function poly(c, x, y, r, n, turn) {
  for (let i = 0; i < n; i++) c[i ? 'lineTo' : 'moveTo'](x + r * Math.cos(turn + (i * 2 * Math.PI) / n), y + r * Math.sin(turn + (i * 2 * Math.PI) / n))
  c.closePath()
}

const still = matchMedia('(prefers-reduced-motion: reduce)')

export class Map2D {
  constructor(canvas, picked) {
    Object.assign(this, { canvas, picked, points: [], areas: [], houses: [], alarms: new Map(), doing: {}, chosen: '', label: (t) => t.zh, houseName: (id) => id, view: { x: 0, y: 0, scale: 1 } })
    new ResizeObserver(() => this.size()).observe(canvas)
    canvas.addEventListener('wheel', (e) => { e.preventDefault(); this.zoom(Math.exp(-e.deltaY / 300), e.offsetX, e.offsetY) }, { passive: false })
    canvas.addEventListener('keydown', (e) => this.key(e))
    this.pointers()
  }

  /** show takes what does not change: points and areas. */
  show(points, areas) {
    const lat = points.length ? points[0].lat : 31.2
    this.east = 111_320 * Math.cos((lat * Math.PI) / 180)
    const xy = ([lon, lat]) => [lon * this.east, -lat * 110_574]
    this.points = points.map((p) => { const [x, y] = xy([p.lon, p.lat]); return { ...p, x, y } })
    this.areas = areas.features.filter((f) => f.geometry).map((f) => {
      const polygons = f.geometry.type === 'Polygon' ? [f.geometry.coordinates] : f.geometry.coordinates
      return { ...f.properties, rings: polygons.flat().map((r) => r.map(xy)) }
    })
    for (const a of this.areas) {
      const all = a.rings.flat()
      a.at = [all.reduce((s, p) => s + p[0], 0) / all.length, all.reduce((s, p) => s + p[1], 0) / all.length]
    }
    this.houses = []
    for (const id of new Set(points.map((p) => p.building).filter(Boolean))) {
      const in_ = this.points.filter((p) => p.building === id)
      this.houses.push({ id, box: bounds(in_, 7) })
    }
    this.size()
  }

  /** fit brings these points into sight. */
  fit(points) {
    if (!points.length) return
    const [x0, y0, x1, y1] = bounds(points, 25)
    const { clientWidth: w, clientHeight: h } = this.canvas
    // What stands over the map: alarms on the left, buttons on the right, the legend below.
    const [left, right, low] = w > 700 ? [this.rem() * 20, this.rem() * 7, 50] : [20, 90, 60]
    const scale = Math.min((w - left - right) / (x1 - x0), (h - 20 - low) / (y1 - y0))
    this.view = { x: (x0 + x1) / 2 - (left - right) / 2 / scale, y: (y0 + y1) / 2 + (low - 20) / 2 / scale, scale }
    this.draw()
  }

  rem() { return parseFloat(getComputedStyle(document.documentElement).fontSize) }

  /** see moves the map so that a point is in sight. */
  see(id) {
    const p = this.points.find((p) => p.id === id)
    if (!p) return
    const [x, y] = this.screen(p)
    const { clientWidth: w, clientHeight: h } = this.canvas
    if (x < 60 || y < 60 || x > w - 60 || y > h - 60) Object.assign(this.view, { x: p.x, y: p.y, scale: Math.max(this.view.scale, 0.6) })
    this.draw()
  }

  zoom(by, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const v = this.view
    const scale = Math.min(40, Math.max(0.01, v.scale * by))
    const [dx, dy] = [x - this.canvas.clientWidth / 2, y - this.canvas.clientHeight / 2]
    this.view = { scale, x: v.x + dx / v.scale - dx / scale, y: v.y + dy / v.scale - dy / scale }
    this.draw()
  }

  key(e) {
    const step = 60 / this.view.scale
    const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[e.key]
    if (move) { this.view.x += move[0]; this.view.y += move[1]; this.draw() }
    else if (e.key === '+' || e.key === '=') this.zoom(1.4)
    else if (e.key === '-') this.zoom(1 / 1.4)
    else if (e.key === 'n' || e.key === 'N') {
      const ids = [...this.alarms.keys()]
      if (ids.length) this.picked(ids[(ids.indexOf(this.chosen) + 1) % ids.length])
    } else return
    e.preventDefault()
  }

  pointers() {
    const down = new Map()
    let moved = 0
    this.canvas.addEventListener('pointerdown', (e) => { this.canvas.setPointerCapture(e.pointerId); down.set(e.pointerId, e); moved = 0 })
    this.canvas.addEventListener('pointermove', (e) => {
      const was = down.get(e.pointerId)
      if (!was) { this.canvas.style.cursor = this.under(e.offsetX, e.offsetY) ? 'pointer' : 'grab'; return }
      const other = [...down.values()].find((p) => p.pointerId !== e.pointerId)
      if (other) {
        const d = (p) => Math.hypot(p.offsetX - other.offsetX, p.offsetY - other.offsetY) || 1
        this.zoom(d(e) / d(was), (e.offsetX + other.offsetX) / 2, (e.offsetY + other.offsetY) / 2)
      } else {
        this.view.x -= (e.offsetX - was.offsetX) / this.view.scale
        this.view.y -= (e.offsetY - was.offsetY) / this.view.scale
        this.draw()
      }
      moved += Math.hypot(e.offsetX - was.offsetX, e.offsetY - was.offsetY)
      down.set(e.pointerId, e)
    })
    const up = (e) => {
      if (down.delete(e.pointerId) && e.type === 'pointerup' && moved < 6) {
        const p = this.under(e.offsetX, e.offsetY)
        if (p) this.picked(p.id)
      }
    }
    this.canvas.addEventListener('pointerup', up)
    this.canvas.addEventListener('pointercancel', up)
  }

  /** under is the nearest point to a place on the screen, within a finger's reach. */
  under(x, y) {
    let best, near = 22
    for (const p of this.points) {
      const [px, py] = this.screen(p)
      const d = Math.hypot(px - x, py - y) - (this.alarms.has(p.id) ? 6 : 0)
      if (d < near) { near = d; best = p }
    }
    return best
  }

  screen(p) {
    const { x, y, scale } = this.view
    return [(p.x - x) * scale + this.canvas.clientWidth / 2, (p.y - y) * scale + this.canvas.clientHeight / 2]
  }

  size() {
    const { canvas } = this
    const dpr = window.devicePixelRatio || 1
    canvas.width = canvas.clientWidth * dpr
    canvas.height = canvas.clientHeight * dpr
    this.draw()
  }

  /** draw draws at the next picture; while alarms stand it goes on, so that they pulse. */
  draw() {
    this.due ??= requestAnimationFrame((t) => {
      this.due = undefined
      this.paint(t)
      if (this.alarms.size && !still.matches) setTimeout(() => this.draw(), 60)
    })
  }

  paint(time) {
    const { canvas, view } = this
    const c = canvas.getContext('2d')
    const css = getComputedStyle(document.documentElement)
    const colour = (name) => css.getPropertyValue('--' + name)
    const font = parseFloat(css.fontSize)
    const dpr = window.devicePixelRatio || 1
    c.setTransform(dpr, 0, 0, dpr, 0, 0)
    c.fillStyle = colour('land')
    c.fillRect(0, 0, canvas.clientWidth, canvas.clientHeight)
    this.paintAreas(c, colour, font)
    const r = Math.min(9, Math.max(3.2, 3 + view.scale * 2.2)) * (font / 14)
    c.lineWidth = 1.6
    for (const p of this.points) {
      const [x, y] = this.screen(p)
      if (x < -20 || y < -20 || x > canvas.clientWidth + 20 || y > canvas.clientHeight + 20) continue
      c.beginPath()
      shapes[p.kind](c, x, y, r)
      c.fillStyle = this.doing[p.id] ? colour('warn') : colour('card')
      c.fill()
      c.strokeStyle = colour('mark')
      c.stroke()
    }
    for (const [id, alarm] of this.alarms) this.paintAlarm(c, colour, font, r, id, alarm, time)
    this.paintChosen(c, colour, font, r)
  }

  paintAreas(c, colour, font) {
    const shown = this.areas.filter((a) => a.kind !== 'cell' || this.view.scale > 0.06)
    for (const kind of ['cell', 'street', 'district']) {
      c.beginPath()
      for (const a of shown.filter((a) => a.kind === kind)) {
        for (const ring of a.rings) {
          ring.forEach(([x, y], i) => c[i ? 'lineTo' : 'moveTo'](...this.screen({ x, y })))
          c.closePath()
        }
      }
      c.strokeStyle = colour(kind === 'cell' ? 'cell' : 'street')
      c.lineWidth = kind === 'district' ? 2 : 1
      c.stroke()
    }
    if (this.view.scale > 0.9) {
      c.fillStyle = colour('house')
      c.strokeStyle = colour('street')
      for (const h of this.houses) {
        const [x0, y0] = this.screen({ x: h.box[0], y: h.box[1] })
        const [x1, y1] = this.screen({ x: h.box[2], y: h.box[3] })
        c.beginPath()
        c.roundRect(x0, y0, x1 - x0, y1 - y0, 6)
        c.fill()
        c.stroke()
        h.top = [(x0 + x1) / 2, y0 - 6]
      }
    }
    c.fillStyle = colour('soft')
    c.textAlign = 'center'
    c.font = `${font * 0.9}px sans-serif`
    if (this.view.scale > 0.9) for (const h of this.houses) c.fillText(this.houseName(h.id), ...h.top)
    for (const a of shown) if (a.kind === 'street' && a.name) c.fillText(this.label({ zh: a.name, en: a.name_en ?? a.name }), ...this.screen({ x: a.at[0], y: a.at[1] }))
  }

  paintAlarm(c, colour, font, r, id, alarm, time) {
    const p = this.points.find((p) => p.id === id)
    if (!p) return
    const [x, y] = this.screen(p)
    const pulse = still.matches ? 0.5 : (time / 1200) % 1
    const tone = colour('p' + alarm.priority)
    c.strokeStyle = c.fillStyle = tone
    c.globalAlpha = 1 - pulse
    c.lineWidth = 2.5
    c.beginPath()
    c.arc(x, y, r + 3 + pulse * 18, 0, 7)
    c.stroke()
    c.globalAlpha = 1
    c.beginPath()
    shapes[p.kind](c, x, y, r * 1.25)
    c.fill()
    c.font = `700 ${font * 0.86}px sans-serif`
    c.textAlign = 'left'
    c.lineWidth = 3.5
    c.strokeStyle = colour('land')
    c.strokeText('P' + alarm.priority, x + r * 1.5, y - r)
    c.fillText('P' + alarm.priority, x + r * 1.5, y - r)
  }

  paintChosen(c, colour, font, r) {
    const p = this.points.find((p) => p.id === this.chosen)
    if (!p) return
    const [x, y] = this.screen(p)
    c.strokeStyle = colour('brand')
    c.lineWidth = 3
    c.beginPath()
    c.arc(x, y, r + 7, 0, 7)
    c.stroke()
    const text = this.label(p.name)
    c.font = `600 ${font}px sans-serif`
    c.textAlign = 'center'
    c.lineWidth = 4
    c.strokeStyle = colour('land')
    c.strokeText(text, x, y + r + font + 12)
    c.fillStyle = colour('ink')
    c.fillText(text, x, y + r + font + 12)
  }
}

function bounds(points, pad) {
  const xs = points.map((p) => p.x)
  const ys = points.map((p) => p.y)
  return [Math.min(...xs) - pad, Math.min(...ys) - pad, Math.max(...xs) + pad, Math.max(...ys) + pad]
}
