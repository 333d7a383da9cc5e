// Builds the gateway with pages that are not committed: node e2e/overlay.mjs PAGES BINARY
// (PAGES is what `GRIDGATE_DIST=PAGES npx vite build` made). The tree stays as it is.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'

const root = join(import.meta.dirname, '../../../..')
const dist = join(root, 'internal/console/dist')
const [pages, binary] = process.argv.slice(2).map((p) => resolve(p))
const files = (dir) => readdirSync(dir, { recursive: true, withFileTypes: true }).filter((e) => e.isFile()).map((e) => relative(dir, join(e.parentPath, e.name)))

const replace = {}
for (const f of files(dist)) replace[join(dist, f)] = ''
for (const f of files(pages)) replace[join(dist, f)] = join(pages, f)
const dir = mkdtempSync(join(tmpdir(), 'gridgate-overlay-'))
writeFileSync(join(dir, 'overlay.json'), JSON.stringify({ Replace: replace }))
execFileSync('go', ['build', '-overlay', join(dir, 'overlay.json'), '-o', binary, './cmd/gridgate'], { cwd: root, stdio: 'inherit' })
rmSync(dir, { recursive: true })
