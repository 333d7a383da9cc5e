// Pictures of the map, drawn when it begins and when the theme changes: told apart by shape.

export interface Colours {
  ground: string
  card: string
  raised: string
  ink: string
  soft: string
  line: string
  edge: string
  brand: string
  warn: string
  p: [string, string, string, string]
  dark: boolean
}

/** coloursNow reads the tokens of the theme. */
export function coloursNow(): Colours {
  const css = getComputedStyle(document.documentElement)
  const of = (name: string) => css.getPropertyValue('--' + name).trim()
  return {
    ground: of('bg'), card: of('card'), raised: of('raised'), ink: of('ink'), soft: of('soft'), line: of('line'), edge: of('edge'), brand: of('brand'), warn: of('warn'),
    p: [of('p1'), of('p2'), of('p3'), of('p4')], dark: document.documentElement.dataset.theme !== 'light',
  }
}

const grain = 2 // pixels of a picture for one of the page

type Draw = (g: CanvasRenderingContext2D, c: Colours) => void

function paint(size: number, c: Colours, draw: Draw): ImageData {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = size * grain
  const g = canvas.getContext('2d')!
  g.scale(grain, grain)
  g.translate(size / 2, size / 2)
  g.lineJoin = 'round'
  g.lineCap = 'round'
  draw(g, c)
  return g.getImageData(0, 0, canvas.width, canvas.height)
}

function path(g: CanvasRenderingContext2D, points: [number, number][]): void {
  g.beginPath()
  for (const [x, y] of points) g.lineTo(x, y)
  g.closePath()
}

const ring = (g: CanvasRenderingContext2D, r: number) => {
  g.beginPath()
  g.arc(0, 0, r, 0, 2 * Math.PI)
}

/** Priority shapes, those of ui/Priority.svelte. */
const outline: ((g: CanvasRenderingContext2D, r: number) => void)[] = [
  (g, r) => path(g, [[-0.42, -1], [0.42, -1], [1, -0.42], [1, 0.42], [0.42, 1], [-0.42, 1], [-1, 0.42], [-1, -0.42]].map(([x, y]) => [x! * r, y! * r])),
  (g, r) => path(g, [[0, -1.15 * r], [1.15 * r, 0.9 * r], [-1.15 * r, 0.9 * r]]),
  (g, r) => path(g, [[-0.9 * r, -0.9 * r], [0.9 * r, -0.9 * r], [0.9 * r, 0.9 * r], [-0.9 * r, 0.9 * r]]),
  (g, r) => ring(g, r),
]

/** An alarm: the shape of its priority with its number; filled while nobody has seen it, dashed where it is not live. */
function alarm(priority: number, acked: boolean, live: boolean): Draw {
  return (g, c) => {
    const r = priority === 1 ? 12 : 10.5
    const colour = c.p[priority - 1]!
    outline[priority - 1]!(g, r + 2)
    g.fillStyle = g.strokeStyle = c.ground // an edge against whatever lies below
    g.lineWidth = 3
    g.fill()
    g.stroke()
    outline[priority - 1]!(g, r)
    g.fillStyle = acked ? c.card : colour
    g.fill()
    g.strokeStyle = colour
    g.lineWidth = 2.2
    if (!live) g.setLineDash([3, 3.4])
    if (!live) g.fillStyle = c.card
    if (!live) g.fill()
    g.stroke()
    g.setLineDash([])
    g.fillStyle = acked || !live ? colour : c.ground
    g.font = '700 12px system-ui, sans-serif'
    g.textAlign = 'center'
    g.textBaseline = 'middle'
    g.fillText(String(priority), 0, priority === 2 ? 3 : 0.8)
  }
}

const kinds: Record<string, Draw> = {
  smoke(g, c) {
    ring(g, 6)
    g.fillStyle = c.card
    g.fill()
    g.stroke()
    ring(g, 2)
    g.fillStyle = c.ink
    g.fill()
  },
  manhole(g, c) {
    ring(g, 6.5)
    g.fillStyle = c.card
    g.fill()
    g.stroke()
    g.beginPath()
    for (const y of [-2.2, 0.2, 2.6]) {
      g.moveTo(-3.4, y)
      g.lineTo(3.4, y)
    }
    g.lineWidth = 1.2
    g.stroke()
  },
  door(g, c) {
    path(g, [[-4.5, -6.5], [4.5, -6.5], [4.5, 6.5], [-4.5, 6.5]])
    g.fillStyle = c.card
    g.fill()
    g.stroke()
    g.beginPath()
    g.arc(2, 0.5, 1, 0, 2 * Math.PI)
    g.fillStyle = c.ink
    g.fill()
  },
  parking(g, c) {
    path(g, [[-6.5, -6.5], [6.5, -6.5], [6.5, 6.5], [-6.5, 6.5]])
    g.fillStyle = c.card
    g.fill()
    g.stroke()
    g.fillStyle = c.ink
    g.font = '700 9px system-ui, sans-serif'
    g.textAlign = 'center'
    g.textBaseline = 'middle'
    g.fillText('P', 0, 0.6)
  },
  other(g, c) {
    path(g, [[0, -6.5], [6.5, 0], [0, 6.5], [-6.5, 0]])
    g.fillStyle = c.card
    g.fill()
    g.stroke()
  },
}

export const kindsDrawn = Object.keys(kinds)
export const alarmPicture = (priority: number, acked: boolean, live: boolean) => `alarm-${priority}${acked ? '-seen' : ''}${live ? '' : '-practice'}`

/** pictures are all that the map needs, by name. */
export function pictures(c: Colours): Map<string, ImageData> {
  const out = new Map<string, ImageData>()
  for (const [kind, draw] of Object.entries(kinds)) {
    out.set('kind-' + kind, paint(20, c, (g) => {
      g.strokeStyle = c.ink
      g.lineWidth = 1.5
      draw(g, c)
    }))
  }
  for (const p of [1, 2, 3, 4]) for (const seen of [false, true]) for (const live of [true, false]) out.set(alarmPicture(p, seen, live), paint(36, c, alarm(p, seen, live)))
  return out
}

export const pictureGrain = grain
