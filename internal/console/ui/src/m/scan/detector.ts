// One way to find codes in a picture: the browser's own detector where there is one, else zxing,
// whose wasm is an asset of ours (it would be fetched from elsewhere otherwise).
import wasm from 'zxing-wasm/reader/zxing_reader.wasm?url'

export interface Found {
  text: string
  symbology: string
  /** One-dimensional: no error correction, so it is believed only when read twice alike. */
  linear: boolean
}

export type Picture = ImageData | Blob

/** The name of what does the reading, for the page that says how this phone reads codes. */
export interface Detector {
  name: 'native' | 'zxing'
  find(picture: Picture): Promise<Found[]>
}

interface NativeDetector {
  detect(source: ImageBitmapSource): Promise<{ rawValue: string; format: string }[]>
}

interface NativeDetectorClass {
  new (options: { formats: string[] }): NativeDetector
  getSupportedFormats(): Promise<string[]>
}

const wanted = ['qr_code', 'data_matrix', 'code_128', 'code_39', 'ean_13', 'itf']
const matrix = new Set(['qr_code', 'data_matrix', 'QRCode', 'QRCodeModel1', 'QRCodeModel2', 'MicroQRCode', 'DataMatrix'])

/** The browser's own detector, if it reads what is on our labels. */
export async function nativeDetector(from: object = globalThis): Promise<Detector | null> {
  const Native = (from as { BarcodeDetector?: NativeDetectorClass }).BarcodeDetector
  if (!Native) return null
  try {
    const can = await Native.getSupportedFormats()
    if (!can.includes('qr_code') || !can.includes('code_128')) return null
    const native = new Native({ formats: wanted.filter((f) => can.includes(f)) })
    return {
      name: 'native',
      find: async (picture) => (await native.detect(picture)).map((b) => ({ text: b.rawValue, symbology: b.format, linear: !matrix.has(b.format) })),
    }
  } catch {
    return null
  }
}

/** zxing compiled to wasm: loaded when it is first wanted, from where this page came. */
export async function zxingDetector(): Promise<Detector> {
  const zxing = await import('zxing-wasm/reader')
  await zxing.prepareZXingModule({ overrides: { locateFile: () => wasm }, fireImmediately: true })
  return {
    name: 'zxing',
    find: async (picture) => {
      const all = await zxing.readBarcodes(picture, {
        formats: ['QRCode', 'MicroQRCode', 'DataMatrix', 'Code128', 'Code39', 'EAN13', 'ITF'],
        tryHarder: picture instanceof Blob,
        maxNumberOfSymbols: 4,
      })
      return all.filter((b) => b.isValid).map((b) => ({ text: b.text, symbology: b.format, linear: !matrix.has(b.format) }))
    },
  }
}

export async function openDetector(): Promise<Detector> {
  return (await nativeDetector()) ?? (await zxingDetector())
}

/** Believes a matrix code at once and a linear one when it came twice alike. */
export function doubt(): (found: Found[]) => Found | null {
  let last = ''
  return (found) => {
    const sure = found.find((f) => !f.linear)
    if (sure) return sure
    const line = found.find((f) => f.text !== '')
    if (line && line.text === last) return line
    if (line) last = line.text
    return null
  }
}
