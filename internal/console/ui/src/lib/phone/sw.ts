/// <reference lib="webworker" />
// The service worker of both apps: keeps the app on the phone, so that it opens with no server, and
// sends the queue when the browser wakes it. It never touches the queue otherwise.
import { app } from './app'
import { channelName, drain } from './sender'

declare const self: ServiceWorkerGlobalScope
declare const __KEEP__: string[] // every file of the build
declare const __BUILD__: string // changes with them

const ours = `gridgate-${app}-`
const cacheName = ours + __BUILD__

self.addEventListener('install', (e) => {
  // All or nothing: a half kept app would not open. It then waits until the person takes it.
  e.waitUntil(caches.open(cacheName).then((c) => c.addAll(__KEEP__.map((f) => new Request(f, { cache: 'no-cache' })))))
})

self.addEventListener('activate', (e) => {
  e.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name.startsWith(ours) && name !== cacheName) await caches.delete(name)
      await self.clients.claim()
    })(),
  )
})

self.addEventListener('message', (e) => {
  if (e.data === 'take over') e.waitUntil(self.skipWaiting())
  if (e.data === 'build') e.source?.postMessage({ build: __BUILD__ })
})

self.addEventListener('fetch', (e) => {
  const url = new URL(e.request.url)
  if (e.request.method !== 'GET' || url.origin !== location.origin) return
  const path = url.pathname === `/${app}/index.html` ? `/${app}/` : url.pathname
  if (!__KEEP__.includes(path)) return // the API, and what is not the app's
  // Not by open: asked late, when a newer one has taken over, that would make our cache anew.
  e.respondWith(caches.match(path, { cacheName }).then((kept) => kept ?? fetch(e.request)))
})

interface SyncEvent extends ExtendableEvent {
  tag: string
}

self.addEventListener('sync' as 'message', (event) => {
  const e = event as unknown as SyncEvent
  if (e.tag !== channelName) return
  const channel = new BroadcastChannel(channelName)
  e.waitUntil(
    drain(() => channel.postMessage('changed')).then((ended) => {
      channel.close()
      if (ended === 'unreachable') throw new Error('the server does not answer') // the browser tries again
    }),
  )
})
