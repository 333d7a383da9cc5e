import { expect, test } from 'vitest'
import { fixOf, partWords } from './fixes'

test('A problem is worded by its part and by what it says', () => {
  expect(fixOf('serial.riser-3', 'open /dev/ttyUSB0: permission denied').fix.en).toContain('dialout')
  expect(fixOf('serial.riser-3', 'no such file').fix.en).toContain('by-id')
  expect(fixOf('influxdb', 'write: 401 Unauthorized').what.en).toContain('token')
  expect(fixOf('influxdb', 'dial tcp: connection refused').what.en).toContain('queue')
  expect(fixOf('journal.bulk', 'refuses frames: the disk is nearly full').what.en).toContain('smoke is still taken')
  expect(fixOf('coap.udp', 'listen: address already in use').fix.en).toContain('ss -ltnup')
  expect(fixOf('what is new', 'odd').what.zh).not.toBe('')
})

test('Parts have names, those of transports with their own', () => {
  expect(partWords('mqtt.city').en).toBe('MQTT · city')
  expect(partWords('journal.safety').zh).toBe('报文日志 · 安全通道')
  expect(partWords('unheard').en).toBe('unheard')
})
