/** The place in the app is the address' hash: "#/points/p1?near=1". It works with no server. */
export interface Place {
  path: string
  parts: string[]
  query: URLSearchParams
}

function parse(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2)
  const parts = path.split('/').filter(Boolean).map(decodeURIComponent)
  return { path: '/' + parts.join('/'), parts, query: new URLSearchParams(query) }
}

const now = $state<{ place: Place; depth: number }>({ place: parse(location.hash), depth: 0 })

addEventListener('hashchange', () => {
  now.place = parse(location.hash)
  now.depth++
  scrollTo(0, 0)
})

export function place(): Place {
  return now.place
}

/** arriving is where the address leads already; the screen that is left is still drawn until then. */
export function arriving(): Place {
  return parse(location.hash)
}

/** href makes an address within the app of parts that may hold any character. */
export function href(...parts: string[]): string {
  return '#/' + parts.map(encodeURIComponent).join('/')
}

export function go(to: string): void {
  location.hash = to.startsWith('#') ? to.slice(1) : to
}

/** back goes where the person came from, or to the given place if the app was opened here. */
export function back(otherwise: string): void {
  if (now.depth > 0) history.back()
  else go(otherwise)
}
