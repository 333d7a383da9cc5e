import { app } from './app'

const now = $state({ waits: false, taking: false, build: '' })
let kept: ServiceWorkerRegistration | undefined

/** updateWaits says that a newer app is on the phone and waits for the person. */
export const updateWaits = (): boolean => now.waits
/** updateRuns says that the person has taken it, and the browser is changing over. */
export const updateRuns = (): boolean => now.taking
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

/**
 * takeUpdate starts the newer app. What is on the phone stays: the queue is not the app's code.
 * It asks each second until it is done: the browser ends the older worker only if it runs at
 * the moment of asking, and lets one that was just starting live on for half a minute or more.
 */
export function takeUpdate(): void {
  if (now.taking) return
  now.taking = true
  const ask = () => kept?.waiting?.postMessage('take over')
  const again = setInterval(ask, 1000)
  navigator.serviceWorker.addEventListener('controllerchange', () => {
    clearInterval(again)
    location.reload()
  }, { once: true })
  ask()
}
