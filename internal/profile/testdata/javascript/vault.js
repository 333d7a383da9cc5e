/**
 * Codec of an invented sensor, in the style of LoRa Alliance TS013. It uses the language
 * as the codecs of device makers do: old and new forms side by side.
 *
 * Port 2: records of channel, type and value.
 *   01 75  battery, u8, %                 03 67  temperature, i16 little endian, 0.1 Cel
 *   04 00  lid, 0 closed, 1 open          05 0d  bits: 0 smoke, 1 tamper, 2 test
 *   06 7d  distance, u16, mm, ffff none   07 ef  serial number, 4 bytes
 *   08 20  history: count, then time u32 and temperature i16 each
 * Port 3: text, "T=21.5;B=90".
 */
"use strict";

var NAMES = {
  "0175": "battery", "0367": "temperature", "0400": "lid", "050d": "state",
  "067d": "distance", "07ef": "serial", "0820": "history"
};

const LENGTHS = new Map([
  ["battery", 1], ["temperature", 2], ["lid", 1], ["state", 1], ["distance", 2], ["serial", 4]
]);

// A table of the size that makers use for curves: 100 steps of a resistor's value.
const CURVE = Array.from({ length: 100 }, (_, i) => Math.round(10000 * Math.exp(-i / 40)));

function hex(bytes) {
  return bytes.map(function (b) { return ("0" + (b & 0xff).toString(16)).slice(-2); }).join("");
}

function u16le(bytes) { return (bytes[1] << 8) + bytes[0]; }
function i16le(bytes) { var v = u16le(bytes); return v > 0x7fff ? v - 0x10000 : v; }
function u32le(bytes) { return ((bytes[3] << 24) + (bytes[2] << 16) + (bytes[1] << 8) + bytes[0]) >>> 0; }

class Reader {
  constructor(bytes) { this.bytes = bytes; this.at = 0; }
  get left() { return this.bytes.length - this.at; }
  take(n) {
    if (this.left < n) throw new Error(`the payload ends at byte ${this.bytes.length}, wanted ${this.at + n}`);
    const part = this.bytes.slice(this.at, this.at + n);
    this.at += n;
    return part;
  }
}

function step(raw) {
  let low = 0, high = CURVE.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (CURVE[middle] > raw) low = middle + 1; else high = middle;
  }
  return low;
}

function value(name, bytes, out) {
  switch (name) {
    case "battery":
      out.battery = bytes[0];
      if (bytes[0] > 10) break;
      out.weak = true;
    case "weak": // a weak battery is also said in words
      out.note = "battery is weak";
      break;
    case "temperature": out.temperature = i16le(bytes) / 10; break;
    case "lid": out.lid = bytes[0] === 0 ? "closed" : "open"; break;
    case "state": {
      const [s] = bytes;
      Object.assign(out, { smoke: !!(s & 1), tamper: (s >> 1 & 1) === 1, test: Boolean(s & 4) });
      break;
    }
    case "distance": {
      const mm = u16le(bytes);
      out.distance = mm === 0xffff ? NaN : mm;
      out.fill = step(mm);
      break;
    }
    case "serial": out.serial = hex(bytes).toUpperCase(); break;
  }
}

function decodeUplink(input) {
  const { bytes, fPort, recvTime } = input;
  const data = { received: recvTime.toISOString() }, warnings = [];
  switch (fPort) {
    case 2:
    case 12:
      break;
    case 3: {
      const text = String.fromCharCode(...bytes);
      const found = /^T=(-?\d+(?:\.\d+)?);B=(\d+)$/.exec(text);
      if (!found) return { errors: ["no text of this sensor: " + JSON.stringify(text)] };
      return { data: { ...data, temperature: parseFloat(found[1]), battery: parseInt(found[2], 10) } };
    }
    default:
      return { data: {}, warnings: [], errors: ["port " + fPort + " is unknown"] };
  }
  const r = new Reader(bytes);
  while (r.left > 0) {
    const key = hex(r.take(2)), name = NAMES[key];
    if (name === undefined) {
      warnings.push("channel " + key + " is unknown, " + r.left + " bytes are left");
      break;
    }
    if (name === "history") {
      data.history = data.history || [];
      for (let n = r.take(1)[0]; n > 0; n--) {
        const at = new Date(u32le(r.take(4)) * 1000);
        data.history.push({ at, temperature: i16le(r.take(2)) / 10 });
      }
      continue;
    }
    value(name, r.take(LENGTHS.get(name)), data);
  }
  return { data, warnings };
}
