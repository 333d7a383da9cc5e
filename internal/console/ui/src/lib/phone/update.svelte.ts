import { app } from './app'

const now = $state<{ waiting: ServiceWorker | undefined; build: string }>({ waiting: undefined, build: '' })

/** updateWaits says that a newer app is on the phone and waits for the person. */
export const updateWaits = (): boolean => now.waiting !== undefined
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
  const look = () => {
    if (reg.waiting && workers.controller) now.waiting = reg.waiting
  }
  look()
  reg.addEventListener('updatefound', () => reg.installing?.addEventListener('statechange', look))
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') void reg.update().catch(() => undefined)
  })
  void workers.ready.then((r) => r.active?.postMessage('build'))
}

/** takeUpdate starts the newer app. What is on the phone stays: the queue is not the app's code. */
export function takeUpdate(): void {
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true })
  now.waiting?.postMessage('take over')
}
