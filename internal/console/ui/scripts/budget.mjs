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

/** The chunk of a screen that a page's entry loads late: two apps may name one alike. */
function chunkOf(entry, screen) {
  const own = named(screen, '.js').filter((f) => entry.some((e) => e.endsWith('.js') && text(e).includes(f)))
  if (own.length === 0) throw new Error(`no page loads a chunk ${screen}: it was renamed?`)
  const sheets = new Set(own.flatMap((f) => entry.flatMap((e) => [...text(e).matchAll(/assets\/([\w.-]+\.css)/g)].map((m) => m[1]))).filter((c) => c.startsWith(screen + '-')))
  return [...own, ...sheets].map((f) => 'assets/' + f)
}

/** What a page loads at once, and what it loads late of these. */
function load(page, ...late) {
  const entry = [...text(page + '/index.html').matchAll(/\/(assets\/[^"]+\.(?:js|css))"/g)].map((m) => m[1])
  const more = late.flatMap((n) => [...named(n, '.js'), ...named(n, '.css')]).map((f) => 'assets/' + f)
  return { entry, files: [`${page}/index.html`, ...withImports([...entry, ...more])] }
}

/** weigh says how much it is, and ends with 1 beyond the budget. */
function weigh(what, files, most) {
  const sizes = files.map((f) => [f, gzipSync(readFileSync(join(dist, f)), { level: 9 }).length]).sort((a, b) => b[1] - a[1])
  const sum = sizes.reduce((n, [, size]) => n + size, 0)
  for (const [f, size] of sizes.slice(0, 5)) console.log(String(size).padStart(8), f)
  console.log(`${what}: ${(sum / 1024).toFixed(1)} KB of ${most} KB, ${files.length} files`)
  if (sum > most * 1024) process.exitCode = 1
}

if (named('city', '.js').length === 0) throw new Error('no chunk of the map is in ' + dist + ': it was renamed?')
const situation = load('console', 'Situation', 'city', 'maplibre-gl-worker')
if (situation.entry.some((f) => f.includes('city'))) throw new Error('the map is loaded before it is asked for')
weigh('situation', situation.files, 600)

/** What reads codes: of the scanner, and not counted. */
const scanner = /\/(camera|current|reader)-/

// The first visit signs on, the first of a day opens the app where it begins.
for (const [page, first] of [['m', ['SignOn', 'Tasks', 'Scan']], ['u', ['SignOn', 'Mine']]]) {
  const shells = load(page)
  for (const screen of first) {
    const own = chunkOf(shells.entry, screen)
    weigh(`/${page}/ ${screen}`, [...withImports([...shells.files, ...own])].filter((f) => !scanner.test(f)), 60)
  }
}
