// What a first visit of a page loads, compressed as the server does it: fails beyond its budget.
// node scripts/budget.mjs [dist]
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const dist = process.argv[2] ?? join(import.meta.dirname, '../../dist')
const assets = readdirSync(join(dist, 'assets'))
const named = (prefix, ext) => assets.filter((f) => f.startsWith(prefix + '-') && f.endsWith(ext))
const text = (f) => readFileSync(join(dist, f), 'utf8')

/** All that a file imports at once, and the sheets that are loaded with it; what it loads later is not followed. */
function withImports(files) {
  const all = new Set(files)
  for (const f of all) {
    if (!f.endsWith('.js')) continue
    for (const [, name] of text(f).matchAll(/(?:from|import)\s*["'`]\.\/([^"'`]+\.js)["'`]/g)) all.add('assets/' + name)
  }
  return all
}

const html = text('console/index.html')
const entry = [...html.matchAll(/\/(assets\/[^"]+\.(?:js|css))"/g)].map((m) => m[1])
const late = ['Situation', 'city', 'maplibre-gl-worker'].flatMap((n) => [...named(n, '.js'), ...named(n, '.css')]).map((f) => 'assets/' + f)
if (!late.some((f) => f.includes('/city-'))) throw new Error('no chunk of the map is in ' + dist + ': it was renamed?')
const files = [...withImports([...entry, ...late])]
const sizes = files.map((f) => [f, gzipSync(readFileSync(join(dist, f)), { level: 9 }).length]).sort((a, b) => b[1] - a[1])
const sum = sizes.reduce((n, [, size]) => n + size, 0)
const most = 600 * 1024
for (const [f, size] of sizes.slice(0, 5)) console.log(String(size).padStart(8), f)
console.log(`situation: ${(sum / 1024).toFixed(0)} KB of ${most / 1024} KB, ${files.length} files`)
if (entry.some((f) => f.includes('city'))) throw new Error('the map is loaded before it is asked for')
if (sum > most) process.exit(1)
