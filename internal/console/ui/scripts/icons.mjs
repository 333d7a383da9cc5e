// Draws the app's icons as PNG, pixel by pixel: a hexagonal cell with a sensor in it.
// Run by hand when the drawing changes: node scripts/icons.mjs
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'

const brand = [11, 87, 164]
const white = [255, 255, 255]
const fine = 4 // samples a pixel and direction

/** What is at (x, y), both -1 to 1: the hexagon's ring, the sensor, its waves, or the ground. */
function at(x, y, scale) {
  x /= scale
  y /= scale
  const hex = Math.max(Math.abs(y) * 0.8660254 + Math.abs(x) * 0.5, Math.abs(x))
  const r = Math.hypot(x, y)
  if (hex < 0.86 && hex > 0.71) return white
  if (r < 0.17) return white
  const angle = Math.abs(Math.atan2(x, -y))
  if (angle < 0.9 && r > 0.3 && r < 0.41) return white
  if (angle < 0.9 && r > 0.53 && r < 0.64) return white
  return brand
}

function png(size, scale, round) {
  const raw = Buffer.alloc(size * (size * 4 + 1))
  for (let py = 0; py < size; py++) {
    for (let px = 0; px < size; px++) {
      let sum = [0, 0, 0, 0]
      for (let i = 0; i < fine * fine; i++) {
        const x = ((px + (i % fine) / fine + 0.5 / fine) / size) * 2 - 1
        const y = ((py + Math.floor(i / fine) / fine + 0.5 / fine) / size) * 2 - 1
        const cx = Math.max(0, Math.abs(x) - (1 - round))
        const cy = Math.max(0, Math.abs(y) - (1 - round))
        if (round > 0 && Math.hypot(cx, cy) > round) continue
        const c = at(x, y, scale)
        sum = [sum[0] + c[0], sum[1] + c[1], sum[2] + c[2], sum[3] + 1]
      }
      const o = py * (size * 4 + 1) + 1 + px * 4
      for (let k = 0; k < 3; k++) raw[o + k] = sum[3] ? Math.round(sum[k] / sum[3]) : 0
      raw[o + 3] = Math.round((sum[3] / (fine * fine)) * 255)
    }
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(size, 0)
  head.writeUInt32BE(size, 4)
  head.set([8, 6, 0, 0, 0], 8)
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', head), chunk('IDAT', deflateSync(raw, { level: 9 })), chunk('IEND', Buffer.alloc(0))])
}

function chunk(name, data) {
  const out = Buffer.alloc(12 + data.length)
  out.writeUInt32BE(data.length, 0)
  out.write(name, 4, 'latin1')
  data.copy(out, 8)
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length)
  return out
}

const to = join(import.meta.dirname, '../public/m')
writeFileSync(join(to, 'icon-192.png'), png(192, 0.9, 0.36))
writeFileSync(join(to, 'icon-512.png'), png(512, 0.9, 0.36))
writeFileSync(join(to, 'icon-maskable.png'), png(512, 0.7, 0))
