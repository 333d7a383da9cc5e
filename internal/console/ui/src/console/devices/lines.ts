/** A line of two texts laid beside each other. */
export interface Line {
  kind: 'same' | 'old' | 'new'
  old?: number
  new?: number
  text: string
}

const most = 1_500 // lines of a text that are compared one by one

/** compare lays two texts beside each other by their longest common lines. */
export function compare(before: string, after: string): Line[] {
  const [a, b] = [split(before), split(after)]
  let head = 0
  while (head < a.length && head < b.length && a[head] === b[head]) head++
  let tail = 0
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++
  const same = (from: number, to: number): Line[] => a.slice(from, to).map((text, i) => ({ kind: 'same', old: from + i + 1, new: b.length - a.length + from + i + 1, text }))
  return [
    ...a.slice(0, head).map((text, i): Line => ({ kind: 'same', old: i + 1, new: i + 1, text })),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail), head),
    ...same(a.length - tail, a.length),
  ]
}

const split = (s: string) => (s === '' ? [] : s.replace(/\n$/, '').split('\n'))

function middle(a: string[], b: string[], at: number): Line[] {
  const out: Line[] = []
  let [i, j] = [0, 0]
  const old = () => out.push({ kind: 'old', old: at + i + 1, text: a[i++]! })
  const fresh = () => out.push({ kind: 'new', new: at + j + 1, text: b[j++]! })
  if (a.length <= most && b.length <= most) {
    const w = b.length + 1
    const common = new Uint16Array((a.length + 1) * w) // of the rests from i and j on
    for (let x = a.length - 1; x >= 0; x--) {
      for (let y = b.length - 1; y >= 0; y--) {
        common[x * w + y] = a[x] === b[y] ? common[(x + 1) * w + y + 1]! + 1 : Math.max(common[(x + 1) * w + y]!, common[x * w + y + 1]!)
      }
    }
    while (i < a.length && j < b.length) {
      if (a[i] === b[j]) out.push({ kind: 'same', old: at + i + 1, new: at + j + 1, text: (j++, a[i++]!) })
      else if (common[(i + 1) * w + j]! >= common[i * w + j + 1]!) old()
      else fresh()
    }
  }
  while (i < a.length) old()
  while (j < b.length) fresh()
  return out
}

/** around leaves out what is the same, but for so many lines beside each change; undefined marks what was left out. */
export function around(lines: Line[], near = 3): (Line | undefined)[] {
  const keep = new Set<number>()
  lines.forEach((l, i) => {
    if (l.kind !== 'same') for (let k = i - near; k <= i + near; k++) keep.add(k)
  })
  const out: (Line | undefined)[] = []
  lines.forEach((l, i) => {
    if (keep.has(i)) out.push(l)
    else if (out.length === 0 || out.at(-1) !== undefined) out.push(undefined)
  })
  return out
}
