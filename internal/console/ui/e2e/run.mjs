// Builds the gateway with the committed pages once and runs the browser tests: all, or those
// that are named: node e2e/run.mjs offline. The long ones run only when they are named: make web-long.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const here = import.meta.dirname
const dir = mkdtempSync(join(tmpdir(), 'gridgate-e2e-bin-'))
const bin = process.env.GRIDGATE_BIN ?? join(dir, 'gridgate')
if (!process.env.GRIDGATE_BIN) execFileSync('go', ['build', '-o', bin, './cmd/gridgate'], { cwd: join(here, '../../../..'), stdio: 'inherit' })
const wanted = process.argv.slice(2)
const files = readdirSync(here).filter((f) => f.endsWith('.test.mjs') && (wanted.length === 0 ? !f.startsWith('long-') : wanted.some((w) => f.startsWith(w))))
// The limit is for a whole file: a file is a test to the runner. Each wait within has its own, and says what it waited for.
const ran = spawnSync(process.execPath, ['--test', '--test-reporter=spec', '--test-concurrency=2', `--test-timeout=${process.env.SHOTS ? 1_800_000 : 600_000}`, ...files.map((f) => join(here, f))], {
  stdio: 'inherit', env: { ...process.env, GRIDGATE_BIN: bin },
})
rmSync(dir, { recursive: true, force: true })
process.exit(ran.status ?? 1)
