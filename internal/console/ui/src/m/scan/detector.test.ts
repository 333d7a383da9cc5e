import { describe, expect, it } from 'vitest'
import { doubt, nativeDetector } from './detector'

const qr = { text: 'LW:D0', symbology: 'QRCode', linear: false }
const line = (text: string) => ({ text, symbology: 'Code128', linear: true })

describe('doubt', () => {
  it('believes a matrix code at once', () => expect(doubt()([qr])).toBe(qr))
  it('believes a linear code only when it was read twice alike', () => {
    const ask = doubt()
    expect(ask([line('860000000000000')])).toBeNull()
    expect(ask([])).toBeNull()
    expect(ask([line('860000000000001')])).toBeNull()
    expect(ask([line('860000000000001')])?.text).toBe('860000000000001')
  })
})

describe('the browser’s own detector', () => {
  const detectorOf = (formats: string[]) => ({
    BarcodeDetector: class {
      static getSupportedFormats = async () => formats
      detect = async () => [{ rawValue: 'x', format: 'code_128' }]
    },
  })
  it('is taken when it reads our labels', async () => {
    const d = await nativeDetector(detectorOf(['qr_code', 'code_128']))
    expect(await d?.find(new Blob())).toEqual([{ text: 'x', symbology: 'code_128', linear: true }])
  })
  it('is left when it reads nothing, as on a desktop', async () => expect(await nativeDetector(detectorOf([]))).toBeNull())
  it('is left when there is none', async () => expect(await nativeDetector({})).toBeNull())
})
