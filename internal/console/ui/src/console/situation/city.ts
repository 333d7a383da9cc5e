// The map itself. This file and MapLibre are loaded when the map is first shown.
import 'maplibre-gl/dist/maplibre-gl.css'
import type { Feature } from 'geojson'
import { Map as GL, Marker, setWorkerUrl, type GeoJSONSource, type MapGeoJSONFeature, type PointLike } from 'maplibre-gl'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import { middleOf, stepOf, type Area, type AlarmSpot, type Counts, type Extent, type Measure, type View } from './measure'
import { cellsFrom, fonts, styleOf } from './style'
import { alarmPicture, coloursNow, pictureGrain, pictures } from './symbols'

/** What was clicked. */
export type Hit = { alarm: AlarmSpot } | { point: string } | { area: string } | undefined

export interface Hooks {
  token: () => string
  hit: (h: Hit) => void
  moved: (v: View) => void
  /** The picture is whole, nothing more is being loaded or drawn; it counts so many points. */
  idle: (shown: number) => void
  failed: (err: Error) => void
}

/** Pulsing marks are elements of the page, so that the map need not be drawn anew for each beat. */
const mostPulses = 30
const reach = 8 // px around a click

setWorkerUrl(workerUrl)

export class City {
  private readonly gl: GL
  private areas: Area[] = []
  private middles = new Map<string, [number, number]>()
  private counts = new Map<string, Counts>()
  private measure: Measure = 'alarms'
  private spots = new Map<string, AlarmSpot>()
  private pulses = new Map<string, Marker>()
  private picked: [number, number] | undefined
  private pickedArea = ''
  private outlined = '' // the area that the style outlines
  private english = false
  private ready = false
  private gone = false
  private steps = new Map<string, number>()
  private filled = new Map<string, string>()

  constructor(container: HTMLElement, title: string, private readonly on: Hooks, at?: View) {
    this.gl = new GL({
      container, style: styleOf(coloursNow(), false),
      center: at ? [at.lon, at.lat] : [121.4, 31.22], zoom: at?.zoom ?? 11,
      attributionControl: false, dragRotate: false, pitchWithRotate: false, touchPitch: false, maxPitch: 0, rollEnabled: false,
      maxZoom: 20, minZoom: 3, renderWorldCopies: false, fadeDuration: 0, refreshExpiredTiles: false,
      localIdeographFontFamily: fonts[0]!, locale: { 'Map.Title': title },
      canvasContextAttributes: { antialias: false, failIfMajorPerformanceCaveat: false },
      pixelRatio: Math.min(devicePixelRatio, 2),
      // The token goes to our own server, and no request to any other.
      transformRequest: (url) => (url.startsWith(location.origin + '/api/') ? { url, headers: { Authorization: 'Bearer ' + on.token() } } : { url }),
    })
    this.gl.touchZoomRotate.disableRotation()
    this.gl.keyboard.disableRotation()
    this.gl.on('error', (e) => on.failed(e.error instanceof Error ? e.error : Error(String(e.error?.message ?? e.type))))
    this.gl.on('styledata', () => this.draw())
    this.gl.on('idle', () => on.idle(this.shown()))
    this.gl.on('moveend', () => on.moved(this.view()))
    this.gl.on('click', (e) => this.click([e.point.x, e.point.y]))
    this.gl.on('mousemove', (e) => (this.gl.getCanvas().style.cursor = this.under([e.point.x, e.point.y]).length > 0 ? 'pointer' : ''))
  }

  close(): void {
    this.gone = true
    for (const p of this.pulses.values()) p.remove()
    // What the map stops asking for remembers where it was stopped, and with it the map and its whole screen.
    const stacks = Error as { stackTraceLimit?: number } // where the browser has it
    const deep = stacks.stackTraceLimit
    stacks.stackTraceLimit = 0
    this.gl.remove()
    stacks.stackTraceLimit = deep
  }

  view(): View {
    const c = this.gl.getCenter()
    return { lon: c.lng, lat: c.lat, zoom: this.gl.getZoom() }
  }

  /** go moves there: at once for those who want no motion, or if it is far. */
  go(v: Partial<View> & { lon: number; lat: number }, calm: boolean): void {
    const to = { center: [v.lon, v.lat] as [number, number], ...(v.zoom === undefined ? {} : { zoom: v.zoom }) }
    if (calm) this.gl.jumpTo(to)
    else this.gl.easeTo({ ...to, duration: 300 })
  }

  fit(e: Extent): void {
    this.gl.fitBounds([[e[0], e[1]], [e[2], e[3]]], { padding: 36, maxZoom: 16.5, duration: 0 })
  }

  zoom(by: number): void {
    this.gl.zoomTo(Math.round(this.gl.getZoom()) + by, { duration: 150 })
  }

  sees(lon: number, lat: number): boolean {
    return this.gl.getBounds().contains([lon, lat])
  }

  /** shown is how many points are in the picture: those that clusters count, and those by themselves. */
  private shown(): number {
    if (!this.ready) return 0
    return this.gl.queryRenderedFeatures({ layers: ['clusters', 'points'] }).reduce((sum, f) => sum + (f.layer.id === 'points' ? 1 : Number(f.properties.n)), 0)
  }

  /** theme draws all anew in the colours of now. */
  theme(): void {
    this.ready = false
    this.steps.clear()
    this.filled.clear()
    this.outlined = ''
    this.gl.setStyle(styleOf(coloursNow(), this.hasCells()), { diff: false })
  }

  setLang(english: boolean): void {
    if (this.english === english) return
    this.english = english
    this.showWords()
  }

  setAreas(areas: Area[]): void {
    const had = this.hasCells()
    this.areas = areas
    this.middles = new Map(areas.map((a) => [a.properties.code, middleOf(a)]))
    if (had !== this.hasCells()) return this.theme() // other layers
    this.showAreas()
  }

  setCounts(counts: Map<string, Counts>, measure: Measure): void {
    this.counts = counts
    this.measure = measure
    this.showCounts()
  }

  setAlarms(alarms: AlarmSpot[]): void {
    this.spots = new Map(alarms.map((a) => [a.id, a]))
    this.showAlarms()
    this.showPulses()
  }

  setPicked(at: [number, number] | undefined, area: string | undefined): void {
    this.picked = at
    this.pickedArea = area ?? ''
    this.showPicked()
  }

  /** refresh asks for the points again: the registry may have changed. */
  refresh(): void {
    if (this.ready) this.gl.refreshTiles('points')
  }

  private hasCells(): boolean {
    return this.areas.some((a) => a.properties.kind === 'cell')
  }

  /** draw fills a style that has come to be. */
  private draw(): void {
    if (this.ready || this.gone || !this.gl.getSource('picked')) return
    this.ready = true
    for (const [name, data] of pictures(coloursNow())) if (!this.gl.hasImage(name)) this.gl.addImage(name, data, { pixelRatio: pictureGrain })
    this.showAreas()
    this.showAlarms()
    this.showPicked()
  }

  /** fill gives a source what it is to show, if that is not what it has: each filling lays out and draws the whole picture again. */
  private fill(name: string, features: Feature[]): void {
    if (!this.ready) return
    const now = JSON.stringify(features)
    if (this.filled.get(name) === now) return
    this.filled.set(name, now)
    void this.gl.getSource<GeoJSONSource>(name)?.setData({ type: 'FeatureCollection', features })
  }

  private showAreas(): void {
    if (!this.ready) return
    void this.gl.getSource<GeoJSONSource>('areas')?.setData({ type: 'FeatureCollection', features: this.areas.filter((a) => a.properties.kind !== 'community') })
    this.steps.clear()
    this.showCounts()
  }

  /** showCounts colours by state, which costs no new drawing of shapes; only what changed is told. */
  private showCounts(): void {
    if (!this.ready) return
    for (const a of this.areas) {
      const { code, kind } = a.properties
      if (kind === 'district' || kind === 'community') continue
      const step = stepOf(this.counts.get(code)?.[this.measure] ?? 0)
      if ((this.steps.get(code) ?? 0) === step) continue
      this.steps.set(code, step)
      this.gl.setFeatureState({ source: 'areas', id: code }, { step })
    }
    this.showWords()
  }

  private showWords(): void {
    const features = this.areas.flatMap((a) => {
      const { code, kind, name, name_en } = a.properties
      const n = this.counts.get(code)?.[this.measure] ?? 0
      if (kind !== 'street' && !(kind === 'cell' && n > 0)) return []
      return [{ type: 'Feature' as const, properties: { code, kind, n, name: (this.english && name_en) || name || code }, geometry: { type: 'Point' as const, coordinates: this.middles.get(code)! } }]
    })
    this.fill('words', features)
  }

  private showAlarms(): void {
    const features = [...this.spots.values()].map((a) => ({
      type: 'Feature' as const,
      properties: { id: a.id, picture: alarmPicture(a.priority, a.acked, a.mode === 'live'), order: (a.mode === 'live' ? 100 : 0) + (a.acked ? 0 : 10) - a.priority },
      geometry: { type: 'Point' as const, coordinates: [a.lon, a.lat] },
    }))
    this.fill('alarms', features)
  }

  /** showPulses marks what burns and nobody has seen. */
  private showPulses(): void {
    const want = new Map([...this.spots.values()].filter((a) => a.priority === 1 && !a.acked && a.mode === 'live').slice(0, mostPulses).map((a) => [a.point, a]))
    for (const [point, marker] of this.pulses) {
      if (want.has(point)) continue
      marker.remove()
      this.pulses.delete(point)
    }
    for (const [point, a] of want) {
      if (this.pulses.has(point)) continue
      const el = document.createElement('span')
      el.className = 'situation-pulse'
      el.ariaHidden = 'true'
      const marker = new Marker({ element: el, subpixelPositioning: true }).setLngLat([a.lon, a.lat]).addTo(this.gl)
      el.removeAttribute('role')
      el.removeAttribute('aria-label')
      el.removeAttribute('tabindex')
      this.pulses.set(point, marker)
    }
  }

  private showPicked(): void {
    if (!this.ready) return
    const features = this.picked ? [{ type: 'Feature' as const, properties: {}, geometry: { type: 'Point' as const, coordinates: this.picked } }] : []
    this.fill('picked', features)
    if (this.pickedArea === this.outlined) return
    this.outlined = this.pickedArea
    this.gl.setFilter('picked-area', ['==', ['get', 'code'], this.pickedArea])
  }

  private under(at: [number, number]): MapGeoJSONFeature[] {
    if (!this.ready) return []
    const box: [PointLike, PointLike] = [[at[0] - reach, at[1] - reach], [at[0] + reach, at[1] + reach]]
    const near = this.gl.queryRenderedFeatures(box, { layers: ['alarms', 'points', 'clusters'] })
    const rank = (f: MapGeoJSONFeature) => ['alarms', 'points', 'clusters'].indexOf(f.layer.id)
    return near.sort((a, b) => rank(a) - rank(b))
  }

  private click(at: [number, number]): void {
    const spot = this.gl.unproject(at)
    dispatchEvent(new CustomEvent('gridgate.spot', { detail: { lon: spot.lng, lat: spot.lat } })) // a report that is being written may want it
    const f = this.under(at)[0]
    if (f?.layer.id === 'alarms') return this.on.hit({ alarm: this.spots.get(String(f.properties.id))! })
    if (f?.layer.id === 'points') return this.on.hit({ point: String(f.properties.id) })
    if (f) {
      const to = this.gl.unproject(at)
      this.gl.easeTo({ center: to, zoom: Math.min(this.gl.getZoom() + 2, 18), duration: 200 })
      return
    }
    const layers = this.gl.getZoom() >= cellsFrom && this.hasCells() ? ['cell'] : ['street', 'cell']
    const area = this.gl.queryRenderedFeatures(at, { layers })[0] ?? this.inside(at)
    this.on.hit(area ? { area: String(area.properties.code) } : undefined)
  }

  /** inside finds the street where no cell is. */
  private inside(at: [number, number]): MapGeoJSONFeature | undefined {
    return this.gl.queryRenderedFeatures(at, { layers: ['district'] }).length > 0 ? this.gl.queryRenderedFeatures(at, { layers: ['street'] })[0] : undefined
  }
}
