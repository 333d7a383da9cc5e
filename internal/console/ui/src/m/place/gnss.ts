// Where the phone is. GNSS speaks WGS84 and nothing else: no other system can come in here.

export interface Fix {
  lon: number
  lat: number
  /** Metres, as the phone believes. */
  accuracy: number
  at: string
}

const enough = 15 // metres: good enough to stop listening
const patience = 12_000

/** The best position of the next seconds; null if there is none or it is not allowed. */
export function locate(onBetter: (f: Fix) => void = () => {}): Promise<Fix | null> {
  return new Promise((give) => {
    const geo = navigator.geolocation
    if (!geo) return give(null)
    let best: Fix | null = null
    const end = () => {
      geo.clearWatch(watch)
      clearTimeout(timer)
      give(best)
    }
    const timer = setTimeout(end, patience)
    const watch = geo.watchPosition(
      ({ coords }) => {
        const fix = { lon: coords.longitude, lat: coords.latitude, accuracy: coords.accuracy, at: new Date().toISOString() }
        if (!best || fix.accuracy < best.accuracy) {
          best = fix
          onBetter(fix)
        }
        if (fix.accuracy <= enough) end()
      },
      (err) => {
        if (err.code === err.PERMISSION_DENIED || !best) end()
      },
      { enableHighAccuracy: true, maximumAge: 5_000, timeout: patience },
    )
  })
}
