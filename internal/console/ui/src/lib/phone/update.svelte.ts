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

/** wake is how long the older worker may take to answer before the newer one is asked all the same, in ms. */
const wake = 3000

/**
 * takeUpdate starts the newer app. What is on the phone stays: the queue is not the app's code.
 * The browser ends the older worker at once only if it runs at the moment of asking; one that was
 * just starting lives on for half a minute or more, and asking again changes nothing. So it is
 * woken first, and the newer one is asked once it has answered.
 */
export function takeUpdate(): void {
  const workers = navigator.serviceWorker
  if (now.taking) return
  now.taking = true
  workers.addEventListener('controllerchange', () => location.reload(), { once: true })
  let asked = false
  const ask = () => {
    if (!asked) kept?.waiting?.postMessage('take over')
    asked = true
  }
  workers.addEventListener('message', ask, { once: true })
  setTimeout(ask, wake)
  kept?.active?.postMessage('build')
}
