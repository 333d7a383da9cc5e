// What the fake camera sees: a label held before it, a little turned, under a poor light.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { prepareZXingModule, writeBarcode } from 'zxing-wasm/writer'

const wasm = createRequire(import.meta.url).resolve('zxing-wasm/writer/zxing_writer.wasm')

/** modules are the squares of a QR code: rows of true (dark) and false. */
async function modules(text) {
  prepareZXingModule({ overrides: { wasmBinary: readFileSync(wasm) } })
  const { error, symbol } = await writeBarcode(text, { format: 'QRCode', ecLevel: 'M' })
  if (error) throw new Error(error)
  const { width, height, data } = symbol
  return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => data[y * width + x] === 0))
}

/** film writes a film (y4m) of a label with a code: Chromium shows it again and again as its camera. */
export async function film(path, text, { width = 640, height = 480, turn = 7 } = {}) {
  const code = await modules(text)
  const size = 250 / (code.length + 8) // of a module, in pixels, with the quiet zone
  const [sin, cos] = [Math.sin((turn * Math.PI) / 180), Math.cos((turn * Math.PI) / 180)]
  const luma = Buffer.alloc(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [dx, dy] = [x - width / 2, y - height / 2]
      const column = Math.floor((dx * cos + dy * sin) / size + code.length / 2)
      const row = Math.floor((dy * cos - dx * sin) / size + code.length / 2)
      const label = column >= -4 && row >= -4 && column < code.length + 4 && row < code.length + 4
      const shade = !label ? 96 : code[row]?.[column] ? 34 : 205
      luma[y * width + x] = shade - Math.round((20 * x) / width) + ((x * 7 + y * 13) % 9)
    }
  }
  const frame = Buffer.concat([Buffer.from('FRAME\n'), luma, Buffer.alloc((width * height) / 2, 128)])
  writeFileSync(path, Buffer.concat([Buffer.from(`YUV4MPEG2 W${width} H${height} F10:1 Ip A1:1 C420jpeg\n`), frame, frame, frame]))
  return path
}
