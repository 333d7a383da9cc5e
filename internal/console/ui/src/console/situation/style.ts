import type { ExpressionSpecification, LayerSpecification, StyleSpecification } from 'maplibre-gl'
import { kindsDrawn, type Colours } from './symbols'

/** No font is fetched: the map has the browser draw every letter. */
export const fonts = ['Noto Sans CJK SC, Noto Sans SC, PingFang SC, Microsoft YaHei, sans-serif']

/** Cells are coloured from this zoom, streets below it. */
export const cellsFrom = 11.5

/** Opacity of the classes of a count: one hue, the number stands in the area. */
export const strength = { dark: [0, 0.2, 0.34, 0.5, 0.68], light: [0, 0.18, 0.32, 0.48, 0.66] }

export const strengths = (c: Colours) => (c.dark ? strength.dark : strength.light)

const none = { type: 'FeatureCollection' as const, features: [] }

const ofKind = (kind: string): ExpressionSpecification => ['==', ['get', 'kind'], kind]

/** How strongly an area is filled: by its state, "step" and "hover". */
function fill(c: Colours): ExpressionSpecification {
  return ['match', ['coalesce', ['feature-state', 'step'], 0], 1, strengths(c)[1]!, 2, strengths(c)[2]!, 3, strengths(c)[3]!, 4, strengths(c)[4]!, 0]
}

const halo = (c: Colours) => ({ 'text-halo-color': c.ground, 'text-halo-width': 1.6 })

function ground(c: Colours, cells: boolean): LayerSpecification[] {
  const areas = (id: string, kind: string, more: object): LayerSpecification => ({ id, source: 'areas', filter: ofKind(kind), ...more }) as LayerSpecification
  return [
    { id: 'ground', type: 'background', paint: { 'background-color': c.ground } },
    areas('district', 'district', { type: 'fill', paint: { 'fill-color': c.card } }),
    areas('street', 'street', { type: 'fill', ...(cells ? { maxzoom: cellsFrom } : {}), paint: { 'fill-color': c.warn, 'fill-opacity': fill(c) } }),
    areas('cell', 'cell', { type: 'fill', minzoom: cellsFrom, paint: { 'fill-color': c.warn, 'fill-opacity': fill(c) } }),
    areas('cell-line', 'cell', { type: 'line', minzoom: cellsFrom, paint: { 'line-color': c.line, 'line-width': ['interpolate', ['linear'], ['zoom'], 11, 0.5, 15, 1.2] } }),
    areas('street-line', 'street', { type: 'line', paint: { 'line-color': c.edge, 'line-width': ['interpolate', ['linear'], ['zoom'], 10, 0.8, 15, 2] } }),
    areas('district-line', 'district', { type: 'line', paint: { 'line-color': c.soft, 'line-width': 2 } }),
    { id: 'picked-area', type: 'line', source: 'areas', filter: ['==', ['get', 'code'], ''], paint: { 'line-color': c.brand, 'line-width': 3 } },
  ]
}

function points(c: Colours): LayerSpecification[] {
  const clusters: ExpressionSpecification = ['has', 'n']
  return [
    {
      id: 'clusters', type: 'circle', source: 'points', 'source-layer': 'points', filter: clusters,
      paint: {
        'circle-color': c.raised, 'circle-opacity': 0.9, 'circle-stroke-color': c.edge, 'circle-stroke-width': 1,
        'circle-radius': ['step', ['get', 'n'], 9, 10, 11, 100, 14, 1000, 17, 10_000, 21],
      },
    },
    {
      id: 'cluster-count', type: 'symbol', source: 'points', 'source-layer': 'points', filter: clusters,
      layout: {
        'text-field': ['case', ['<', ['get', 'n'], 1000], ['to-string', ['get', 'n']], ['<', ['get', 'n'], 10_000], ['concat', ['to-string', ['/', ['round', ['/', ['get', 'n'], 100]], 10]], 'k'], ['concat', ['to-string', ['round', ['/', ['get', 'n'], 1000]]], 'k']],
        'text-font': fonts, 'text-size': 11, 'text-allow-overlap': true, 'text-ignore-placement': true,
      },
      paint: { 'text-color': c.soft },
    },
    {
      id: 'points', type: 'symbol', source: 'points', 'source-layer': 'points', filter: ['!', clusters],
      layout: {
        'icon-image': ['match', ['get', 'kind'], kindsDrawn, ['concat', 'kind-', ['get', 'kind']], 'kind-other'],
        'icon-allow-overlap': true, 'icon-ignore-placement': true, 'icon-size': ['interpolate', ['linear'], ['zoom'], 11, 0.7, 16, 1.1],
      },
    },
  ]
}

function words(c: Colours, cells: boolean): LayerSpecification[] {
  return [
    {
      id: 'street-name', type: 'symbol', source: 'words', filter: ofKind('street'), minzoom: 9,
      layout: { 'text-field': cells ? ['step', ['zoom'], ['concat', ['get', 'name'], ['case', ['>', ['get', 'n'], 0], ['concat', '\n', ['to-string', ['get', 'n']]], '']], cellsFrom, ['get', 'name']] : ['concat', ['get', 'name'], ['case', ['>', ['get', 'n'], 0], ['concat', '\n', ['to-string', ['get', 'n']]], '']], 'text-font': fonts, 'text-size': ['interpolate', ['linear'], ['zoom'], 10, 11, 15, 16], 'text-max-width': 8, 'text-padding': 6 },
      paint: { 'text-color': c.ink, ...halo(c) },
    },
    {
      id: 'cell-count', type: 'symbol', source: 'words', filter: ['all', ofKind('cell'), ['>', ['get', 'n'], 0]], minzoom: cellsFrom,
      layout: { 'text-field': ['to-string', ['get', 'n']], 'text-font': fonts, 'text-size': 13, 'text-offset': [0, 1.2], 'text-allow-overlap': false },
      paint: { 'text-color': c.warn, ...halo(c) },
    },
  ]
}

function alarms(c: Colours): LayerSpecification[] {
  return [
    {
      id: 'alarms', type: 'symbol', source: 'alarms',
      layout: { 'icon-image': ['get', 'picture'], 'icon-allow-overlap': true, 'icon-ignore-placement': true, 'symbol-sort-key': ['get', 'order'] },
    },
    { id: 'picked', type: 'circle', source: 'picked', paint: { 'circle-radius': 19, 'circle-color': 'transparent', 'circle-stroke-color': c.brand, 'circle-stroke-width': 3 } },
  ]
}

/** styleOf is the whole look of the map: a plain ground, and nothing from elsewhere. */
export function styleOf(c: Colours, cells: boolean): StyleSpecification {
  return {
    version: 8,
    sources: {
      areas: { type: 'geojson', data: none, promoteId: 'code', tolerance: 0.4 },
      words: { type: 'geojson', data: none },
      points: { type: 'vector', tiles: [location.origin + '/api/v1/tiles/{z}/{x}/{y}'], minzoom: 0, maxzoom: 18 },
      alarms: { type: 'geojson', data: none },
      picked: { type: 'geojson', data: none },
    },
    layers: [...ground(c, cells), ...points(c), ...words(c, cells), ...alarms(c)],
  }
}
