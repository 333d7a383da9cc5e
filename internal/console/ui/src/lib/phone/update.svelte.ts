import { app } from './app'

const now = $state({ waits: false, taking: false, slow: false, build: '' })
let kept: ServiceWorkerRegistration | undefined

/** updateWaits says that a newer app is on the phone and waits for the person. */
export const updateWaits = (): boolean => now.waits
/** updateRuns says that the person has taken it, and the browser is changing over. */
export const updateRuns = (): boolean => now.taking
/** updateSlow says that the browser lets the older one live on for a while. */
export const updateSlow = (): boolean => now.slow
export const build = (): string => now.build

/** startUpdates keeps the app on the phone. Without HTTPS there is no service worker, and no work after a reload. */
export async function startUpdates(): Promise<void> {
  const workers = navigator.serviceWorker
  if (!workers) return
  workers.addEventListener('message', (e: MessageEvent<{ build?: string }>) => {
    if (e.data.build) now.build = e.data.build
  })
  const reg = await workers.register(`/${app}/sw.js`, { scope: `/${app}/`, updateViaCache: 'none' }).catch(() => undefined)
  if (!reg) return
  kept = reg
  const look = () => {
    if (reg.waiting && workers.controller) now.waits = true
  }
  look()
  reg.addEventListener('updatefound', () => reg.installing?.addEventListener('statechange', look))
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void reg.update().catch(() => undefined)
  })
  void workers.ready.then((r) => r.active?.postMessage('build'))
}

/** patience is how long the browser may take to change over before the person is told that it takes a while, in ms. */
const patience = 5000

/**
 * takeUpdate starts the newer app. What is on the phone stays: the queue is not the app's code.
 * The browser ends the older worker when it is idle: at once or, where it was just starting,
 * after half a minute. The person is told so, and works on meanwhile.
 */
export function takeUpdate(): void {
  if (now.taking) return
  now.taking = true
  setTimeout(() => (now.slow = true), patience)
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true })
  kept?.waiting?.postMessage('take over')
}
