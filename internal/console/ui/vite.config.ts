import { svelte } from '@sveltejs/vite-plugin-svelte'
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { build, defineConfig, type Plugin } from 'vite'

const out = process.env.GRIDGATE_DIST ?? join(import.meta.dirname, '../dist')

/** All files of a folder, as paths from the server's root. */
function files(dir: string, under = ''): string[] {
  return readdirSync(join(dir, under), { withFileTypes: true })
    .flatMap((e) => (e.isDirectory() ? files(dir, under + '/' + e.name) : [under + '/' + e.name]))
    .sort()
}

/** The apps of the phone, by folder: the technician's, and the inbox of units. Each has a service worker. */
const apps = ['m', 'u']

/** Of the files of a build those that an app can reach: its own folder, and what is named there or in a file so found. */
function ofTheApp(app: string, all: string[]): string[] {
  const found = new Set(all.filter((f) => f.startsWith(`/${app}/`)))
  for (const f of found) {
    if (!/\.(html|js|css)$/.test(f)) continue
    const text = readFileSync(join(out, f), 'utf8')
    for (const other of all) if (other.startsWith('/assets/') && text.includes(other.slice('/assets/'.length))) found.add(other)
  }
  return all.filter((f) => found.has(f))
}

/**
 * The service worker is built after the pages: it carries the list of what to keep and a
 * version made of their content, so that it changes when, and only when, they do.
 */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    apply: 'build',
    async closeBundle() {
      for (const app of apps) await worker(app)
    },
  }
}

async function worker(app: string): Promise<void> {
  const keep = ofTheApp(app, files(out)).filter((f) => !f.endsWith('.txt') && !f.endsWith('/sw.js'))
  const hash = createHash('sha256')
  for (const f of keep) hash.update(f).update(readFileSync(join(out, f)))
  hash.update(readFileSync(join(import.meta.dirname, 'src/lib/phone/sw.ts')))
  await build({
    configFile: false,
    publicDir: false,
    logLevel: 'warn',
    define: {
      __KEEP__: JSON.stringify(keep.map((f) => f.replace(/index\.html$/, ''))),
      __BUILD__: JSON.stringify(hash.digest('hex').slice(0, 12)),
    },
    build: {
      outDir: join(out, app),
      emptyOutDir: false,
      target: 'es2022',
      lib: { entry: join(import.meta.dirname, 'src/lib/phone/sw.ts'), formats: ['iife'], name: 'sw', fileName: () => 'sw.js' },
    },
  })
}

/** Writes which packages are in the bundle, and under what licence, to /m/licences.txt. */
function licences(): Plugin {
  return {
    name: 'licences',
    apply: 'build',
    generateBundle(_, bundle) {
      const from = new Set<string>()
      for (const part of Object.values(bundle)) {
        if (part.type !== 'chunk') continue
        for (const id of Object.keys(part.modules)) {
          const dir = id.match(/^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1]
          if (dir) from.add(dir)
        }
      }
      const parts = [...from].sort().map((dir) => {
        const p = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as { name: string; version: string; license?: string }
        const file = readdirSync(dir).find((f) => /^licen[cs]e/i.test(f))
        const text = file ? readFileSync(join(dir, file), 'utf8').replace(/\r/g, '').trim() : ''
        return `${p.name} ${p.version} (${p.license ?? 'see below'})\n\n${text}\n`
      })
      const head = 'The app carries these packages. zxing-wasm holds zxing-cpp, compiled, under the Apache License 2.0.\n'
      this.emitFile({ type: 'asset', fileName: 'm/licences.txt', source: [head, ...parts].join('\n' + '-'.repeat(72) + '\n\n') })
    },
  }
}

// The entries are pages: console is served at /, m (the technician's app) at /m/, u (the inbox of units) at /u/.
export default defineConfig({
  plugins: [svelte(), licences(), serviceWorker()],
  base: '/',
  build: {
    outDir: out,
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: { console: 'console/index.html', m: 'm/index.html', u: 'u/index.html' } },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
} as Parameters<typeof defineConfig>[0])
