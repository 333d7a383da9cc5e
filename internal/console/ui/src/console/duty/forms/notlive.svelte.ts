import { live, serverNow } from '../../live.svelte'
import { notLive, type NotLive } from './notlive'

/** what is not live now, as the desk knows it. Reactive; times are looked at every five seconds. */
export function notLiveNow(): NotLive {
  const windows = [...new Map(live.windows.map((w) => [w.id, w])).values()]
  return notLive(live.posture, windows, live.queue.entries, live.tickets, Math.floor(serverNow() / 5_000) * 5_000)
}
