import type { Code } from '../codes/read'

/** Where a scan leads: it depends on what was scanned, and on what it was scanned for. */
export function afterScan(code: Code, query: URLSearchParams): string {
  const on = new URLSearchParams(query)
  on.delete('for')
  const device = code.identity
  switch (query.get('for')) {
    case 'new':
      if (device) on.set('with', device)
      return device ? '#/swap?' + on : '#/code?' + query
    case 'claim':
      if (device) on.set('device', device)
      return device ? '#/claim?' + on : '#/code?' + query
    case 'plate':
      if (code.point && on.get('device')) return '#/claim?' + having(on, 'point', code.point)
  }
  if (code.point) return '#/points/' + encodeURIComponent(code.point)
  if (device) return '#/device/' + encodeURIComponent(device)
  return '#/code' + (query.size ? '?' + query : '')
}

function having(q: URLSearchParams, name: string, value: string): URLSearchParams {
  q.set(name, value)
  return q
}
