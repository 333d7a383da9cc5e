// Builds the gateway with the committed pages once and takes the figures of the console, one after
// the other: all, or those that are named: node e2e/bench/run.mjs flood
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'

const here = import.meta.dirname
const dir = mkdtempSync(join(tmpdir(), 'gridgate-bench-'))
const bin = process.env.GRIDGATE_BIN ?? join(dir, 'gridgate')
if (!process.env.GRIDGATE_BIN) execFileSync('go', ['build', '-o', bin, './cmd/gridgate'], { cwd: join(here, '../../../../..'), stdio: 'inherit' })
const wanted = process.argv.slice(2)
const figures = join(dir, 'figures')
const begun = {}
let short = false
for (const what of ['points', 'flood', 'hour'].filter((w) => wanted.length === 0 || wanted.includes(w))) {
  begun[what] = loadavg()[0].toFixed(1)
  const ran = spawnSync(process.execPath, [join(here, what + '.mjs')], { stdio: 'inherit', env: { ...process.env, GRIDGATE_BIN: bin, FIGURES: figures, BENCH: what } })
  short ||= ran.status !== 0
}
// One table of all, against the lines that they must keep.
const lines = existsSync(figures) ? readFileSync(figures, 'utf8').trim().split('\n').map((l) => JSON.parse(l)) : []
const width = Math.max(0, ...lines.map((l) => l.what.length))
for (const l of lines) console.log(`${l.good ? 'pass' : 'FAIL'}  ${l.what.padEnd(width)}  ${String(Math.round(l.value * 10) / 10).padStart(8)} ${l.unit.padEnd(2)}  < ${l.wanted} ${l.unit}`.trimEnd().padEnd(width + 34) + `load ${begun[l.bench]} at the start`)
rmSync(dir, { recursive: true, force: true })
process.exit(short ? 1 : 0)
