// Builds the gateway with the committed pages once and takes the figures of the console, one after
// the other: all, or those that are named: node e2e/bench/run.mjs flood
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const here = import.meta.dirname
const dir = mkdtempSync(join(tmpdir(), 'gridgate-bench-'))
const bin = process.env.GRIDGATE_BIN ?? join(dir, 'gridgate')
if (!process.env.GRIDGATE_BIN) execFileSync('go', ['build', '-o', bin, './cmd/gridgate'], { cwd: join(here, '../../../../..'), stdio: 'inherit' })
const wanted = process.argv.slice(2)
let short = false
for (const what of ['points', 'flood', 'hour'].filter((w) => wanted.length === 0 || wanted.includes(w))) {
  const ran = spawnSync(process.execPath, [join(here, what + '.mjs')], { stdio: 'inherit', env: { ...process.env, GRIDGATE_BIN: bin } })
  short ||= ran.status !== 0
}
rmSync(dir, { recursive: true, force: true })
process.exit(short ? 1 : 0)
