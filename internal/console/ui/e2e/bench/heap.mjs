// What a page holds: its heap as the browser itself writes it down, told apart into what the page made
// (objects, texts) and what the browser made of its program (code). Only the first may never grow: code is
// translated when it is first run and again when it runs often, it is bounded by the length of the program.
const program = new Set(['code'])
// What the browser writes down about itself, each kind up to a bound of its own: answers (for the driver), times, shifts.
const diary = /^native (blink::NetworkResourcesData|blink::ScriptTimingInfo|blink::AnimationFrameTimingInfo|Performance|LayoutShift|TaskAttributionTiming|NavigationHistoryEntry|LargestContentfulPaint|InteractionContentfulPaint|DOMRectReadOnly)/

/** counting begins to look into a desk's page. */
export async function counting(desk) {
  const cdp = await desk.context.newCDPSession(desk.page)
  await cdp.send('Performance.enable')
  await cdp.send('HeapProfiler.enable')
  return cdp
}

/** held is what the page holds once what it does not need is thrown away, in KB and in numbers, with what there is of each name. */
export async function held(cdp) {
  const { nodes, meta } = await snapshot(cdp)
  const { metrics } = await cdp.send('Performance.getMetrics')
  const of = (name) => metrics.find((m) => m.name === name).value
  const kinds = meta.node_types[0]
  const [width, kind, name, size, detached] = [meta.node_fields.length, ...['type', 'name', 'self_size', 'detachedness'].map((f) => meta.node_fields.indexOf(f))]
  const sum = { code: 0, objects: 0, count: 0, detached: 0, nodes: of('Nodes'), listeners: of('JSEventListeners'), names: new Map() }
  for (let i = 0; i < nodes.list.length; i += width) {
    const is = kinds[nodes.list[i + kind]]
    const bytes = nodes.list[i + size]
    if (program.has(is)) {
      sum.code += bytes / 1000
      continue
    }
    const called = is + ' ' + nodes.names[nodes.list[i + name]].slice(0, 60)
    if (diary.test(called)) continue
    sum.objects += bytes / 1000
    sum.count++
    if (nodes.list[i + detached] === 2) sum.detached++
    const key = ['object', 'closure', 'native'].includes(is) ? called : is
    const row = sum.names.get(key) ?? { count: 0, bytes: 0 }
    row.count++
    row.bytes += bytes
    sum.names.set(key, row)
  }
  return sum
}

/** snapshot has the browser collect and write down its heap. */
async function snapshot(cdp) {
  await cdp.send('HeapProfiler.collectGarbage')
  const parts = []
  const on = ({ chunk }) => parts.push(chunk)
  cdp.on('HeapProfiler.addHeapSnapshotChunk', on)
  await cdp.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false })
  cdp.off('HeapProfiler.addHeapSnapshotChunk', on)
  const { snapshot: s, nodes, strings } = JSON.parse(parts.join(''))
  return { meta: s.meta, nodes: { list: nodes, names: strings } }
}

/** grown names what there is more of, the most first. */
export function grown(first, last, most = 8) {
  return [...last.names]
    .map(([name, l]) => ({ name, count: l.count - (first.names.get(name)?.count ?? 0), bytes: l.bytes - (first.names.get(name)?.bytes ?? 0) }))
    .filter((d) => d.bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, most)
}
