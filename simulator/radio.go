package simulator

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// radioMap is where the LoRaWAN radio gateways stand: one in each square.
type radioMap struct {
	rules  RadioRules
	degLon float64
	degLat float64
}

func (r *radioMap) compile(rules RadioRules) {
	r.rules = rules
	r.degLat = rules.SpacingM / 110_574
	r.degLon = rules.SpacingM / (111_320 * math.Cos(streets[0].lat*math.Pi/180))
}

// noiseDBm of a receiver at 125 kHz: -174 + 10 log10(125000) + 6.
const noiseDBm = -117.0

// needsSNR is what a spreading factor of 7 to 12 needs, dB (Semtech SX1276).
var needsSNR = [...]float64{-7.5, -10, -12.5, -15, -17.5, -20}

// installedDBm: whoever puts a device in place sees to it that it is heard at least so well.
const installedDBm = -132.0

// hears lists the radio gateways that hear a frame of device i, the best first and at most
// three, and its spreading factor; c.mu is held. None: all that could are dead.
func (c *City) hears(i int, s State, n uint32) (list []heard, factor int) {
	p, rules := c.partOf(i), &c.radios.rules
	homeLon, homeLat := c.position(p, i, c.streetOf(p, i))
	loss := rules.Loss[p.kind]
	if p.kind == grid.Parking && s.Occupied {
		loss += rules.Car
	}
	x, y := int(math.Floor(homeLon/c.radios.degLon)), int(math.Floor(homeLat/c.radios.degLat))
	type reach struct {
		x, y int
		mean float64
	}
	room := [9]reach{}
	near := room[:0]
	for gx := x - 1; gx <= x+1; gx++ {
		for gy := y - 1; gy <= y+1; gy++ {
			place := throw(c.cfg.Seed, forRadio, uint64(gx), uint64(gy))
			lon := (float64(gx) + 0.3 + 0.4*place.share()) * c.radios.degLon
			lat := (float64(gy) + 0.3 + 0.4*place.share()) * c.radios.degLat
			shadow := throw(c.cfg.Seed, forRadio, uint64(gx), uint64(gy), uint64(i))
			path := rules.Loss1m + 10*rules.Exponent*math.Log10(max(metres(lon, lat, homeLon, homeLat), 10)) + loss + rules.Shadow*shadow.normal()
			near = append(near, reach{gx, gy, rules.PowerDBm - path})
		}
	}
	slices.SortFunc(near, func(a, b reach) int {
		if a.mean > b.mean {
			return -1
		}
		return 1
	})
	near[0].mean = max(near[0].mean, installedDBm)
	for factor = 7; factor < 12 && near[0].mean-noiseDBm < needsSNR[factor-7]+5; {
		factor++
	}
	fade := throw(c.cfg.Seed, forFrame, uint64(i), uint64(n))
	for k, g := range near {
		got := g.mean + rules.Fading*fade.normal()
		if k > 0 && got-noiseDBm < needsSNR[factor-7] {
			continue
		}
		id := radioID(g.x, g.y)
		if c.silent[id] {
			continue
		}
		if list = append(list, heard{id, int(math.Round(got)), math.Round(min(max(got-noiseDBm, -20), 12)*4) / 4}); len(list) == 3 {
			break
		}
	}
	return list, factor
}

func radioID(x, y int) string { return fmt.Sprintf("0267ffff%04x%04x", uint16(x), uint16(y)) }

// RadioGateways lists the radio gateways that device i is heard by at its best.
func (c *City) RadioGateways(i int) (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, _ := c.hears(i, c.state(i, c.cfg.Clock.Now()), c.records[i].count)
	for _, h := range list {
		ids = append(ids, h.gateway)
	}
	return ids
}

// ownTime is what the clock of device i shows; c.mu is held.
func (c *City) ownTime(i int, now time.Time) time.Time {
	rules := &c.rules.Clocks
	if c.partOf(i).Quiet {
		return now.Add(c.skews[i])
	}
	d := throw(c.cfg.Seed, forClock, uint64(i))
	since := time.Duration(d.share() * 30 * 24 * float64(time.Hour)) // it was set so long before
	if d.share() < rules.At1970 {
		return time.Unix(0, 0).Add(since + now.Sub(c.start))
	}
	drift := time.Duration(rules.DriftPPM * 1e-6 * d.normal() * float64(since+now.Sub(c.start)))
	return now.Add(drift + c.skews[i])
}

// frame is what device i says now; c.mu is held. Mostly one message, none if it cannot be
// heard, two if the network passes it on twice.
func (c *City) frame(i int, why Why, now time.Time) []Message {
	r, p := &c.records[i], c.partOf(i)
	if r.is(isDead) {
		return nil
	}
	s := c.state(i, now)
	if r.held&heldLevel == 0 {
		r.level = uint16(s.LevelMM) // what was told
	}
	own := c.ownTime(i, now)
	why = r.firstOf(why)
	port, payload := c.version(p, i).model.encode(s, c.memory(i, p, own.Sub(now)), why, own)
	if payload == nil {
		return nil // a played model has no words for this
	}
	return c.wrap(i, why, port, payload, now)
}

// wrap makes messages of a payload, as the wire and the envelope of device i want it; c.mu
// is held.
func (c *City) wrap(i int, why Why, port int, payload []byte, now time.Time) []Message {
	r, p := &c.records[i], c.partOf(i)
	d := c.device(i, r.swaps)
	m := Message{Wire: p.Wire, Identity: d.Identity, Counter: r.count, Kind: why, At: now.UTC(), Payload: payload}
	n := r.count
	r.count++
	r.used += float32(c.rules.Battery.Frame / 1000)
	if p.Wire != MQTT {
		c.address(&m, &d, port)
		return []Message{m}
	}
	switch p.Envelope {
	case Zigbee2MQTT:
		m.Topic = "zigbee2mqtt/" + d.Name
		return []Message{m}
	case Native:
		m.Topic = "gridgate/up/" + string(d.Identity)
		if port > 0 {
			m.Topic += fmt.Sprintf("/%d", port)
		}
		return []Message{m}
	}
	list, factor := c.hears(i, c.state(i, now), n)
	if len(list) == 0 {
		return nil
	}
	hash := throw(c.cfg.Seed, forFrame, uint64(i), uint64(n), 1)
	up := &uplink{eui: d.EUI, name: d.Name, model: d.Model.Name, index: c.number(i), counter: n, port: port, payload: payload,
		hash: hash.next(), at: now, factor: factor, heard: list}
	if d.Model.Form == Bytes && port <= 0 {
		up.port = 1
	}
	if len(list) > 1 && hash.share() < c.cfg.Doubled {
		first := *up
		first.heard = list[:1]
		up.heard, up.hash, up.at = list[1:], hash.next(), now.Add(400*time.Millisecond)
		return []Message{enveloped(m, p.Envelope, &first), enveloped(m, p.Envelope, up)}
	}
	return []Message{enveloped(m, p.Envelope, up)}
}

func enveloped(m Message, e Envelope, up *uplink) Message {
	switch e {
	case TheThings:
		m.Topic, m.Payload = theThingsTopic(up.name), theThings(up)
	case ChirpStackProtobuf:
		m.Topic, m.Payload = chirpstackTopic(up.eui), chirpstackProto(up)
	default:
		m.Topic, m.Payload = chirpstackTopic(up.eui), chirpstackJSON(up)
	}
	return m
}

// identity of a device, by what it speaks.
func (c *City) identity(p *part, d *CityDevice) (id grid.Identity, channel string) {
	switch {
	case p.Wire == CoAP, p.Wire == CoAPS:
		return grid.Identity("imei:" + imei(c.number(d.Index))), ""
	case p.Wire == LwM2M:
		return grid.Identity("ep:" + d.Name), ""
	case d.Model.Zigbee:
		return grid.Identity("z2m:" + d.Name), ""
	case p.Wire == MQTT && d.Model.Form == Bytes:
		return grid.Identity("eui:" + d.EUI), ""
	case p.Wire == MQTT:
		return grid.Identity("sn:" + d.Name), ""
	}
	return c.wired(p, d)
}

// imei is one of the numbers that are for tests (001017), with its check digit.
func imei(n int) string {
	s := fmt.Sprintf("001017%08d", n)
	sum := 0
	for k := range s {
		v := int(s[k] - '0')
		if k%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return s + string(rune('0'+(10-sum%10)%10))
}

// address says where a message goes that is not for MQTT.
func (c *City) address(m *Message, d *CityDevice, port int) {
	switch m.Wire {
	case CoAP, CoAPS:
		m.Topic, m.Format = "/up/"+string(d.Identity), octetStream
		switch {
		case d.Model.Form == JSON:
			m.Format = jsonFormat
		case d.Model.Form == SenML:
			m.Format = senmlFormat
		case d.Model.Form == Resources:
			path, rest, _ := bytes.Cut(m.Payload, []byte{0})
			m.Topic += "?path=" + string(path)
			m.Format, m.Payload = binary.BigEndian.Uint16(rest), rest[2:]
		case port > 0:
			m.Topic += fmt.Sprintf("?port=%d", port)
		}
	case LwM2M:
		m.Topic, m.Format = d.Name, senmlFormat
	default:
		c.wiredAddress(m, d)
	}
}

// member is which of those behind its transmitter, on its line or at its panel device i is.
func (p *part) member(i int) int {
	switch p.Wire {
	case GBT26875, Lines:
		return (i - p.first) % detectorsPerTransmitter
	case Modbus:
		return (i - p.first) % slavesPerLine
	}
	return 0
}

// leader is the number of the first device behind the same transmitter, line or panel.
func (c *City) leader(p *part, i int) int { return c.number(i - p.member(i)) }

// lineName of a Modbus line or a panel, as the gateway's configuration calls it.
func (c *City) lineName(p *part, i int) string {
	return fmt.Sprintf("sim-%s-%06d", p.Wire, c.leader(p, i))
}

// transmitters have addresses from here on.
const firstTransmitter = 500_000_000

// wired is the identity of what stands behind a transmitter, on a bus or at a panel.
func (c *City) wired(p *part, d *CityDevice) (id grid.Identity, channel string) {
	n := p.member(d.Index) + 1
	switch p.Wire {
	case GBT26875:
		return grid.Identity(fmt.Sprintf("gb26875:%d", firstTransmitter+c.leader(p, d.Index))), fmt.Sprintf("1.1/1.%d", n)
	case Modbus:
		return grid.Identity(fmt.Sprintf("modbus:%s/%d", c.lineName(p, d.Index), n)), ""
	}
	return grid.Identity("line:" + c.lineName(p, d.Index)), fmt.Sprintf("1-%03d", n)
}

func (c *City) wiredAddress(m *Message, d *CityDevice) {
	p := c.partOf(d.Index)
	switch m.Wire {
	case GBT26875:
		m.Topic, m.bcd = fmt.Sprint(firstTransmitter+c.leader(p, d.Index)), d.Model.bcd
	case Modbus:
		m.Topic = fmt.Sprintf("%s/%d", c.lineName(p, d.Index), p.member(d.Index)+1)
	default:
		m.Topic = c.lineName(p, d.Index)
	}
}
