package simulator

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"gridgate/internal/grid"
)

// Load is a stream of frames as cheap to make as they come: the load generator shares
// the machine with what it measures.
type Load struct {
	Broker   Broker
	Profile  string  // milesight/ws301, bosch/tps110 or netvox/ra02a
	Envelope string  // "native" or "chirpstack"
	Devices  int     // taking turns; a device always speaks over the same connection
	Conns    int     //
	Window   int     // unacknowledged frames per connection
	Alarms   float64 // share of frames that say open, occupied or fire
	Rate     float64 // frames a second over all connections; 0: as fast as they are acknowledged
	Count    uint64  // stop after so many; 0: when ctx is done
	First    uint32  // counter of a device's first frame: raise it when the gateway has heard these devices before
	Seed     uint64  // of the identities; the same as in the registry
}

// LoadResult says what came of it.
type LoadResult struct {
	Profile     string  `json:"profile"`
	Envelope    string  `json:"envelope"`
	Devices     int     `json:"devices"`
	Conns       int     `json:"conns"`
	Window      int     `json:"window"`
	Sent        uint64  `json:"sent"`
	Acked       uint64  `json:"acked"`
	Alarms      uint64  `json:"alarms"`
	Seconds     float64 `json:"seconds"`
	FramesPerS  float64 `json:"acked_per_s"`
	Backlog     uint64  `json:"backlog"`              // due, and not acknowledged, when the time was up: with a rate
	Latency     Latency `json:"publish_to_puback_ms"` // with a rate: from when a frame was due, whenever it could leave
	BytesPerMsg float64 `json:"bytes_per_message"`
}

// Latency quantiles in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

func quantiles(h *hdrhistogram.Histogram) Latency {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return Latency{ms(h.ValueAtQuantile(50)), ms(h.ValueAtQuantile(90)), ms(h.ValueAtQuantile(99)), ms(h.ValueAtQuantile(99.9)), ms(h.Max())}
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
}

// benchPayloads make the k-th payload of a device straight into a buffer. What may
// repeat is kept far apart: the gateway takes a quick repetition for a duplicate.
var benchPayloads = map[string]struct {
	port int
	add  func(b []byte, k uint32, alarm bool) []byte
}{
	"milesight/ws301": {85, func(b []byte, k uint32, alarm bool) []byte {
		return append(b, 0x01, 0x75, byte(20+k%80), 0x03, 0x00, bit(alarm, 0), 0x04, 0x00, 0x00)
	}},
	"bosch/tps110": {2, func(b []byte, k uint32, alarm bool) []byte {
		return append(b, bit(alarm, 0), byte(int8(k%120)-40))
	}},
	"netvox/ra02a": {6, func(b []byte, k uint32, alarm bool) []byte {
		t := uint16(100 + k%400)
		return append(b, 0x01, 0x0A, 0x01, byte(28+k/400%8), bit(alarm, 0), 0, byte(t>>8), byte(t), 0, 0, 0)
	}},
}

func (l *Load) check() error {
	_, known := benchPayloads[l.Profile]
	switch {
	case !known:
		return grid.Errorf(grid.Invalid, "model is %q: want milesight/ws301, bosch/tps110 or netvox/ra02a", l.Profile)
	case l.Envelope != "native" && l.Envelope != "chirpstack":
		return grid.Errorf(grid.Invalid, "envelope is %q: want native or chirpstack", l.Envelope)
	case l.Conns < 1 || l.Devices < l.Conns:
		return grid.Errorf(grid.Invalid, "%d connections for %d devices: want one device or more for each", l.Conns, l.Devices)
	case l.Window < 1 || l.Window > 32_768:
		return grid.Errorf(grid.Invalid, "window is %d: want 1 to 32768", l.Window)
	case l.Alarms < 0 || l.Alarms > 1:
		return grid.Errorf(grid.Invalid, "alarms is %g: want a share, 0 to 1", l.Alarms)
	}
	return nil
}

// Registry of the devices that the load speaks for.
func (l *Load) Registry() (Registry, error) {
	m, err := ModelOf(l.Profile)
	if err != nil {
		return Registry{}, err
	}
	return Registry{
		Points: func(yield func(grid.Point) bool) {
			for i := range l.Devices {
				if !yield(pointAt(i, m.Kind, 20)) {
					return
				}
			}
		},
		Devices: func(yield func(RegistryDevice) bool) {
			for i := range l.Devices {
				d := RegistryDevice{Identity: grid.Identity("eui:" + eui(l.Seed, i)), Profile: m.Profile, Point: pointID(m.Kind, i)}
				if !yield(d) {
					return
				}
			}
		},
	}, nil
}

// Run sends until ctx is done or Count is reached, then waits for the acknowledgements.
// It fails if a connection breaks: a bench that reconnects measures something else.
func (l *Load) Run(ctx context.Context) (LoadResult, error) {
	if err := l.check(); err != nil {
		return LoadResult{}, err
	}
	links := make([]*link, l.Conns)
	for i := range links {
		conn, r, err := l.Broker.dial(ctx, fmt.Sprintf("gridsim-bench-%d-%d", time.Now().UnixNano(), i), 0)
		if err != nil {
			return LoadResult{}, err
		}
		defer conn.Close()
		links[i] = newLink(l, i, conn, r)
	}
	began := time.Now()
	errs := make([]error, len(links))
	var wg sync.WaitGroup
	for i, k := range links {
		wg.Go(func() { errs[i] = k.run(ctx, began) })
	}
	wg.Wait()
	res := LoadResult{Profile: l.Profile, Envelope: l.Envelope, Devices: l.Devices, Conns: l.Conns, Window: l.Window, Seconds: time.Since(began).Seconds()}
	h := newHistogram()
	var bytes uint64
	for _, k := range links {
		res.Sent += k.sent
		res.Acked += k.acked
		res.Alarms += k.alarms
		res.Backlog += k.backlog
		bytes += k.bytes
		h.Merge(k.hist)
	}
	res.FramesPerS = math.Round(float64(res.Acked) / res.Seconds)
	res.Latency = quantiles(h)
	res.BytesPerMsg = math.Round(float64(bytes) / float64(max(res.Sent, 1)))
	for _, err := range errs {
		if err != nil {
			return res, err
		}
	}
	return res, nil
}

// link is one connection of a load.
type link struct {
	l    *Load
	n    int
	conn net.Conn
	r    *bufio.Reader
	wake chan struct{} // some were acknowledged

	ended chan struct{} // the reader has, with lost
	lost  error

	open   atomic.Int64
	sentAt [1 << 16]atomic.Int64 // by packet id, nanoseconds since began; 0: free
	began  time.Time

	sent, alarms, bytes uint64 // of the writer
	backlog             uint64
	acked               uint64 // of the reader
	hist                *hdrhistogram.Histogram
	id                  uint16
	device              int
	cycle               uint32
}

func newLink(l *Load, n int, conn net.Conn, r *bufio.Reader) *link {
	return &link{l: l, n: n, conn: conn, r: r, wake: make(chan struct{}, 1), ended: make(chan struct{}), hist: newHistogram(), device: n, cycle: l.First}
}

func (k *link) run(ctx context.Context, began time.Time) error {
	k.began = began
	go func() { k.lost = k.read(); close(k.ended) }()
	err := k.write(ctx)
	if k.l.Rate > 0 {
		acked := k.sent - uint64(k.open.Load())
		k.backlog = max(min(k.due(time.Since(began)), k.most()), acked) - acked
	}
	deadline := time.After(30 * time.Second)
	for err == nil && k.open.Load() > 0 {
		select {
		case <-k.wake:
		case <-k.ended:
			err = k.lost
		case <-deadline:
			err = fmt.Errorf("%d frames are not acknowledged after 30 s", k.open.Load())
		}
	}
	k.conn.Close()
	<-k.ended // the reader's figures are ours now
	if err != nil {
		return fmt.Errorf("connection %d: %w", k.n, err)
	}
	return nil
}

// gather is the pause between two writes to a wide window. Much longer, and a broker
// with Nagle's algorithm waits for our delayed TCP acknowledgement: 44 ms.
const gather = 300 * time.Microsecond

// write fills the window, in as few system calls as it allows.
func (k *link) write(ctx context.Context) error {
	most := k.most()
	buf := make([]byte, 0, 64<<10)
	for ctx.Err() == nil && k.sent < most {
		due := k.due(time.Since(k.began))
		buf = buf[:0]
		now := int64(time.Since(k.began))
		for len(buf) < 48<<10 && k.open.Load() < int64(k.l.Window) && k.sent < due && k.sent < most {
			buf = k.frame(buf, now)
		}
		if len(buf) > 0 {
			k.conn.SetWriteDeadline(time.Now().Add(60 * time.Second))
			if _, err := k.conn.Write(buf); err != nil {
				return err
			}
			k.bytes += uint64(len(buf))
			if k.l.Window >= 100 && k.open.Load() >= int64(k.l.Window) { // gather acknowledgements: a system call for each would cost the most
				time.Sleep(gather)
			}
			continue
		}
		wait := time.Second
		if k.sent >= due {
			wait = time.Millisecond
		}
		select {
		case <-k.wake:
			if k.sent >= due { // an acknowledgement does not make the next one due
				time.Sleep(wait)
			}
		case <-time.After(wait):
		case <-k.ended:
			return k.lost
		case <-ctx.Done():
		}
	}
	return nil
}

// most is how many frames this connection sends.
func (k *link) most() uint64 {
	if k.l.Count == 0 {
		return math.MaxUint64
	}
	most := k.l.Count / uint64(k.l.Conns)
	if uint64(k.n) < k.l.Count%uint64(k.l.Conns) {
		most++
	}
	return most
}

// due is how many frames of this connection may have left after d.
func (k *link) due(d time.Duration) uint64 {
	if k.l.Rate <= 0 {
		return math.MaxUint64
	}
	return uint64(k.l.Rate/float64(k.l.Conns)*d.Seconds()) + 1
}

// frame adds the next frame to buf.
func (k *link) frame(buf []byte, now int64) []byte {
	for k.id++; k.id == 0 || k.sentAt[k.id].Load() != 0; k.id++ {
	}
	if k.l.Rate > 0 { // a frame that could not leave in time has waited since then: no coordinated omission
		now = int64(float64(k.sent) * float64(k.l.Conns) / k.l.Rate * 1e9)
	}
	k.sentAt[k.id].Store(max(now, 1))
	k.open.Add(1)
	k.sent++
	alarm := (uint64(k.device)*7919+uint64(k.cycle)*104729)%10_000 < uint64(k.l.Alarms*10_000)
	if alarm {
		k.alarms++
	}
	p := benchPayloads[k.l.Profile]
	if k.l.Envelope == "native" {
		buf = k.native(buf, p.port, p.add, alarm)
	} else {
		buf = k.chirpstack(buf, p.port, p.add, alarm)
	}
	if k.device += k.l.Conns; k.device >= k.l.Devices {
		k.device, k.cycle = k.n, k.cycle+1
	}
	return buf
}

type addPayload = func(b []byte, k uint32, alarm bool) []byte

func (k *link) native(buf []byte, port int, add addPayload, alarm bool) []byte {
	var payload [16]byte
	body := add(payload[:0], k.cycle, alarm)
	var topic [64]byte
	t := append(topic[:0], "gridgate/up/eui:"...)
	t = k.appendEUI(t)
	t = strconv.AppendInt(append(t, '/'), int64(port), 10)
	return k.appendHeader(buf, t, len(body), body)
}

func (k *link) appendHeader(buf, topic []byte, n int, body []byte) []byte {
	buf = append(buf, 0x32)
	buf = appendLength(buf, 4+len(topic)+n)
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(topic)))
	buf = append(buf, topic...)
	buf = binary.BigEndian.AppendUint16(buf, k.id)
	return append(buf, body...)
}

// The parts of a ChirpStack v4 event between what changes from frame to frame.
const (
	upHead = `{"deduplicationId":"57433366-50a6-4dc2-8145-2df1bbc70d9e","time":"`
	upInfo = `","deviceInfo":{"tenantId":"73696d75-6c61-4000-8000-74656e616e74","tenantName":"gridsim","applicationId":"` + application +
		`","applicationName":"gridsim","deviceProfileId":"70726f66-696c-4000-8000-000000000000","deviceProfileName":"bench","deviceName":"sim","devEui":"`
	upRadio = `","tags":{}},"devAddr":"26000001","adr":true,"dr":5`
	upTail  = `,"rxInfo":[{"gatewayId":"0267ffff00000001","uplinkId":24022,"rssi":-85,"snr":7.5,"channel":2,"context":"AAAAAA==","crcStatus":"CRC_OK"}],` +
		`"txInfo":{"frequency":470300000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":7,"codeRate":"CR_4_5"}}}}`
)

func (k *link) chirpstack(buf []byte, port int, add addPayload, alarm bool) []byte {
	var payload [16]byte
	var body [1024]byte
	b := append(body[:0], upHead...)
	b = time.Now().UTC().AppendFormat(b, "2006-01-02T15:04:05.000000+00:00")
	b = k.appendEUI(append(b, upInfo...))
	b = append(b, upRadio...)
	if k.cycle > 0 {
		b = strconv.AppendUint(append(b, `,"fCnt":`...), uint64(k.cycle), 10)
	}
	b = strconv.AppendInt(append(b, `,"fPort":`...), int64(port), 10)
	b = append(b, `,"data":"`...)
	b = base64.StdEncoding.AppendEncode(b, add(payload[:0], k.cycle, alarm))
	b = append(append(b, '"'), upTail...)
	var topic [128]byte
	t := append(topic[:0], "application/"+application+"/device/"...)
	t = append(k.appendEUI(t), "/event/up"...)
	return k.appendHeader(buf, t, len(b), b)
}

// appendEUI writes what eui makes, without fmt.
func (k *link) appendEUI(b []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, "0267"...)
	for shift := 12; shift >= 0; shift -= 4 {
		b = append(b, hex[k.l.Seed>>shift&0xF])
	}
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, hex[k.device>>shift&0xF])
	}
	return b
}

// read takes acknowledgements until the connection ends.
func (k *link) read() error {
	var p [4]byte
	for {
		if _, err := io.ReadFull(k.r, p[:]); err != nil {
			return err
		}
		if p[0] != 0x40 || p[1] != 2 {
			return fmt.Errorf("packet %x: want a PUBACK", p)
		}
		id := binary.BigEndian.Uint16(p[2:])
		if at := k.sentAt[id].Swap(0); at != 0 {
			k.hist.RecordValue(max((int64(time.Since(k.began))-at)/1000, 1))
			k.acked++
			k.open.Add(-1)
		}
		if k.r.Buffered() < len(p) {
			select {
			case k.wake <- struct{}{}:
			default:
			}
		}
	}
}
