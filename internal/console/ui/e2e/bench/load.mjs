// How busy the machine is while something is measured: a figure without it says little.
import { appendFileSync, readdirSync, readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'

const total = () => cpus().reduce((sum, c) => sum + Object.values(c.times).reduce((a, b) => a + b, 0), 0)
const idle = () => cpus().reduce((sum, c) => sum + c.times.idle, 0)

/** machine says in words what the figures were measured on. */
export const machine = () => `${cpus().length} cores, load ${loadavg()[0].toFixed(1)}, software rendering`

/** busy begins to measure how much of the machine is used; what it gives says it in per cent. */
export function busy() {
  const [t, i] = [total(), idle()]
  return () => Math.round(100 * (1 - (idle() - i) / Math.max(1, total() - t)))
}

/** spent is the processor time in ms that all programs have had which we began, the browser and the gateway; or those alone whose command line fits. */
export function spent(fits = /./) {
  const of = new Map()
  for (const pid of readdirSync('/proc').filter((p) => /^\d+$/.test(p))) {
    try {
      const f = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ') // after the name, which may hold anything
      of.set(Number(pid), { parent: Number(f[1]), ticks: Number(f[11]) + Number(f[12]) })
    } catch {
      // it has ended
    }
  }
  let ticks = 0
  for (const [pid, p] of of) {
    let up = p
    while (up && up.parent !== process.pid) up = of.get(up.parent)
    if (up && pid !== process.pid && fits.test(command(pid))) ticks += p.ticks
  }
  return ticks * 10
}

function command(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

export const middle = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]
export const part = (list, p) => list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * p))]

/** Judge prints figures beside what was wanted, and remembers what fell short. */
export class Judge {
  short = []

  say(what, value, wanted, unit = 'ms') {
    const good = wanted === undefined || value < wanted
    if (!good) this.short.push(what)
    if (process.env.FIGURES && wanted !== undefined) appendFileSync(process.env.FIGURES, JSON.stringify({ bench: process.env.BENCH, what, value, wanted, unit, good }) + '\n')
    console.log(`  ${good ? ' ' : '!'} ${what}: ${Math.round(value * 10) / 10} ${unit}${wanted === undefined ? '' : `, wanted < ${wanted}`}`)
  }

  /** tell says the middle of what was timed, and judges it. */
  tell(what, times, wanted) {
    const walls = times.map((t) => Math.round(t.wall))
    this.say(what, middle(walls), wanted)
    console.log(`        each: ${walls.join(', ')}; processor time ${Math.round(middle(times.map((t) => t.cpu)))} ms in the middle, of it ${Math.round(middle(times.map((t) => t.gpu)))} ms for drawing without a graphics card`)
  }

  end() {
    if (this.short.length > 0) console.log(`short of what was wanted: ${this.short.join('; ')}`)
    process.exitCode = this.short.length > 0 ? 1 : 0
  }
}
