// How long a step may take, said calmly: seconds only where seconds matter.

export interface Left {
  /** Seconds until it is late; 0 when it is. */
  seconds: number
  /** How much of the wait is over, 0 to 1. */
  share: number
  late: boolean
}

/** What is left of a wait that began at `began` (both in ms). A wait of 0 is none. */
export function left(began: number, waitSeconds: number, now: number): Left {
  const gone = Math.max(0, (now - began) / 1000)
  if (!(waitSeconds > 0)) return { seconds: 0, share: 0, late: false }
  return { seconds: Math.max(0, Math.ceil(waitSeconds - gone)), share: Math.min(1, gone / waitSeconds), late: gone >= waitSeconds }
}

/** A wait in the largest unit that says enough; the dictionary puts the words around it. */
export type Span = { unit: 'second' | 'minute' | 'hour'; n: number }

export function span(seconds: number): Span {
  if (seconds < 90) return { unit: 'second', n: seconds <= 10 ? Math.ceil(seconds) : Math.ceil(seconds / 5) * 5 }
  if (seconds < 90 * 60) return { unit: 'minute', n: Math.ceil(seconds / 60) }
  return { unit: 'hour', n: Math.ceil(seconds / 3600) }
}
