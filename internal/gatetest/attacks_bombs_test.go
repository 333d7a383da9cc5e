package gatetest_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	coaptcp "github.com/plgd-dev/go-coap/v3/tcp"
	"github.com/plgd-dev/go-coap/v3/udp"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gridgate/internal/gatetest"
)

// What is small on the wire and large behind it, what never ends, and what comes by the
// thousand: sent to a running gateway, while smoke goes its whole way.

// fires are detectors that are pressed one after the other, and the unit that is to hear of each.
type fires struct {
	g       *gateway
	wire    device
	pressed int

	mu    sync.Mutex
	heard map[string]time.Time // by point: when its ticket came
}

const mostFires = 60

// newFires registers detectors, each in a building of its own so that none joins another's
// incident, and a unit.
func newFires(t *testing.T, g *gateway) *fires {
	t.Helper()
	f := &fires{g: g, heard: map[string]time.Time{}}
	unit := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Type string
			Data struct{ Place struct{ Point string } }
		}
		if json.NewDecoder(r.Body).Decode(&e) == nil && e.Type == "gridgate.ticket.opened" {
			f.mu.Lock()
			f.heard[e.Data.Place.Point] = time.Now()
			f.mu.Unlock()
		}
	}))
	t.Cleanup(unit.Close)
	var r strings.Builder
	r.WriteString("points:\n  - {id: door-1, name: a door, kind: door, mode: simulated}\n")
	for i := range mostFires {
		fmt.Fprintf(&r, "  - {id: fire-%02d, name: a ceiling, kind: smoke, district: \"310105\", building: b-%d, address: %d Demo Road, mode: simulated}\n", i, i, i+1)
	}
	r.WriteString("devices:\n  - {identity: \"sn:door-1\", profile: gridgate/json, point: door-1, mode: simulated}\n")
	for i := range mostFires {
		fmt.Fprintf(&r, "  - {identity: \"sn:fire-%02d\", profile: gridgate/json, point: fire-%02d, mode: simulated}\n", i, i)
	}
	fmt.Fprintf(&r, "units:\n  - {id: station, name: station, kind: micro_fire_station, tier: 2, mode: simulated, connector: webhook, url: %q, token: token-of-station, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}\n", unit.URL)
	g.put(t, r.String())
	f.wire = connect(t, g.broker)
	return f
}

// next presses a detector and waits until the unit has its ticket. It gives how long that took.
func (f *fires) next(t *testing.T) time.Duration {
	t.Helper()
	point := fmt.Sprintf("fire-%02d", f.pressed)
	f.pressed++
	began := time.Now()
	f.wire.send(t, "gridgate/up/sn:"+point, []byte(`{"smoke.alarm":true,"seq":1}`))
	var at time.Time
	eventually(t, 30*time.Second, "the unit to hear of "+point, func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if at = f.heard[point]; at.IsZero() {
			return fmt.Errorf("it has heard of %d of %d", len(f.heard), f.pressed)
		}
		return nil
	})
	return at.Sub(began)
}

// mostMemory is what the gateway may hold while it is bombed: some 300 MB go to what it takes in by
// the rules, and a bomb that is unpacked, or kept, would not go into the rest.
const mostMemory = 900 << 20

// bounded fails a gateway that has held more. With the race detector all programs are larger.
func (g *gateway) bounded(t *testing.T) (now, most int64) {
	t.Helper()
	now, most = g.Memory(t)
	if most > mostMemory && os.Getenv("GRIDGATE_TEST_RACE") != "1" {
		t.Errorf("it held %d MB: want %d at most", most>>20, mostMemory>>20)
	}
	return now, most
}

func TestBombsSentToARunningGatewayHinderNoFire(t *testing.T) {
	secure, wire, stream := gatetest.FreeAddr(t), gatetest.FreeAddr(t), gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {listen: "+wire+", tcp: "+stream+"}")
	withTLS(t, g, "{listen: \""+secure+"\"}")
	g.gridgate(t, "cert", "ca", "--name", "a district")
	g.gridgate(t, "cert", "server", "gridgate.lan", "127.0.0.1")
	g.start(t)
	f := newFires(t, g)
	f.next(t)
	for _, bomb := range []struct {
		what string
		send func(t *testing.T)
	}{
		{"bodies that are deep or packed", func(t *testing.T) { bombBodies(t, g) }},
		{"workbooks that unpack to a gigabyte", func(t *testing.T) { bombImports(t, g) }},
		{"headers, paths and queries without end", func(t *testing.T) { bombHeads(t, g) }},
		{"half requests, and readers that do not read", func(t *testing.T) { bombSlowly(t, g, f) }},
		{"HTTP/2: resets, headers without end, pings", func(t *testing.T) { bombHTTP2(t, secure) }},
		{"deep payloads over MQTT", func(t *testing.T) { bombMQTT(t, g) }},
		{"deep payloads and halves over CoAP", func(t *testing.T) { bombCoAP(t, wire, stream) }},
	} {
		t.Run(bomb.what, func(t *testing.T) {
			done := make(chan time.Duration, 1)
			go func() {
				defer close(done)
				done <- f.next(t)
			}()
			bomb.send(t)
			took, told := <-done
			if !told {
				t.Fatal("smoke did not go its way meanwhile")
			}
			after := f.next(t)
			now, most := g.bounded(t)
			t.Logf("smoke to the unit: %v meanwhile, %v after; %d MB held, %d MB at most", took.Round(time.Millisecond), after.Round(time.Millisecond), now>>20, most>>20)
		})
	}
	g.balanced(t)
}

// refused wants an answer that is the asker's fault.
func refused(t *testing.T, what string, code int, said string) {
	t.Helper()
	if code < 400 || code >= 500 {
		t.Errorf("%s: %d %.200s", what, code, said)
	}
}

func packed(t *testing.T, megabytes int, how func(io.Writer) io.WriteCloser) string {
	t.Helper()
	var b bytes.Buffer
	w := how(&b)
	for zeros := make([]byte, 1<<20); megabytes > 0; megabytes-- {
		_, err := w.Write(zeros)
		must(t, err)
	}
	must(t, w.Close())
	return b.String()
}

func bombBodies(t *testing.T, g *gateway) {
	const kind = "Content-Type"
	deep := strings.Repeat("[", 500_000)
	nested := strings.Repeat(`{"by":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	gz := packed(t, 200, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	zz := packed(t, 200, func(w io.Writer) io.WriteCloser {
		z, err := flate.NewWriter(w, flate.BestSpeed)
		must(t, err)
		return z
	})
	for _, path := range []string{"/api/v1/session", "/api/v1/events", "/api/v1/points", "/api/v1/profiles/lint"} {
		for what, body := range map[string]string{"brackets": deep, "objects": nested, "brackets in a list": `{"alarms":` + deep, "a number": `{"a":1` + strings.Repeat("0", 900_000) + "}"} {
			code, _, said := asks(t, g, http.MethodPost, path, g.api.Token, body, kind, "application/json")
			refused(t, path+" of "+what, code, said)
		}
		for _, other := range []string{"application/cbor", "application/senml+cbor", "application/yaml", "application/xml", "multipart/form-data; boundary=x"} {
			code, _, said := asks(t, g, http.MethodPost, path, g.api.Token, strings.Repeat("\x81", 500_000), kind, other)
			refused(t, path+" as "+other, code, said)
		}
		for how, body := range map[string]string{"gzip": gz, "deflate": zz} {
			code, _, said := asks(t, g, http.MethodPost, path, g.api.Token, body, kind, "application/json", "Content-Encoding", how)
			refused(t, path+" packed by "+how, code, said)
		}
	}
	for what, body := range map[string]string{"brackets": strings.Repeat("[", 15<<20), "objects": strings.Repeat("{a: ", 2<<20), "packed": gz, "more than is taken": strings.Repeat("#", 25<<20)} {
		code, _, said := asks(t, g, http.MethodPut, "/api/v1/registry", g.api.Token, body, kind, "application/octet-stream")
		refused(t, "a registry of "+what, code, said)
	}
	// Who says no length is counted while he speaks.
	endless, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.api.URL+"/api/v1/events", io.LimitReader(zeros{}, 64<<20))
	must(t, err)
	endless.Header.Set("Authorization", "Bearer "+g.api.Token)
	endless.Header.Set(kind, "application/json")
	if res, err := http.DefaultTransport.RoundTrip(endless); err == nil { // else it closed before all was said
		refused(t, "a body without end", res.StatusCode, "")
		must(t, res.Body.Close())
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// bombImports: of two workbooks one says how much it unpacks to, and one lies.
func bombImports(t *testing.T, g *gateway) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, part := range []struct {
		name string
		text io.Reader
	}{
		{"xl/workbook.xml", strings.NewReader(`<workbook xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="s" r:id="r1"/></sheets></workbook>`)},
		{"xl/_rels/workbook.xml.rels", strings.NewReader(`<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>`)},
		{"xl/worksheets/sheet1.xml", io.LimitReader(zeros{}, 300<<20)},
	} {
		w, err := z.Create(part.name)
		must(t, err)
		_, err = io.Copy(w, part.text)
		must(t, err)
	}
	must(t, z.Close())
	says := func(size uint32) []byte { // of the last part, in the list at the end, where a reader looks first
		out := b.Bytes()
		binary.LittleEndian.PutUint32(out[bytes.LastIndex(out, []byte("PK\x01\x02"))+24:], size)
		return bytes.Clone(out)
	}
	for what, file := range map[string][]byte{"workbook that unpacks to 2 GB": says(2 << 30), "workbook that lies": says(1000), "sheet of one cell": append([]byte("point_id,point_name,kind\n\""), bytes.Repeat([]byte("x"), 30<<20)...)} {
		code, _, said := asks(t, g, http.MethodPost, "/api/v1/imports?dry_run=true", g.api.Token, string(file), "Content-Type", "application/octet-stream")
		if code >= 300 {
			t.Errorf("%s: %d %.200s", what, code, said)
			continue
		}
		var in struct{ ID string }
		must(t, json.Unmarshal([]byte(said), &in))
		eventually(t, time.Minute, what+" to be refused", func() error { // it is read beside
			_, _, said := asks(t, g, http.MethodGet, "/api/v1/imports/"+in.ID, g.api.Token, "")
			if !strings.Contains(said, `"state":"failed"`) && !strings.Contains(said, `"good":0,"bad":1,`) {
				return fmt.Errorf("%.300s", said)
			}
			return nil
		})
	}
}

func bombHeads(t *testing.T, g *gateway) {
	end := "\r\nHost: x\r\nConnection: close\r\n"
	many := strings.Builder{}
	for i := range 100_000 {
		fmt.Fprintf(&many, "X-%d: 1\r\n", i)
	}
	for what, raw := range map[string]string{
		"a header of 1 MB": "GET /healthz HTTP/1.1" + end + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"100,000 headers":  "GET /healthz HTTP/1.1" + end + many.String() + "\r\n",
		"a path of 1 MB":   "GET /" + strings.Repeat("a/", 1<<19) + " HTTP/1.1" + end + "\r\n",
		"a query of 1 MB":  "GET /api/v1/points?q=" + strings.Repeat("x", 1<<20) + " HTTP/1.1" + end + "\r\n",
		"a line of 1 MB":   strings.Repeat("x", 1<<20),
	} {
		// It may close while it is spoken to, and then the answer may be lost.
		if said := says(t, g, raw); said != "" && !strings.HasPrefix(said, "HTTP/1.1 4") {
			t.Errorf("%s: %.100s", what, said)
		}
	}
	for _, path := range []string{"/" + strings.Repeat("a/", 6000), "/api/v1/points/" + strings.Repeat("a", 12_000), "/api/v1/points?q=" + strings.Repeat("%25", 4000), "/api/v1/points?" + strings.Repeat("a&", 6000), "/" + strings.Repeat("../", 4000)} {
		if code, _, said := asks(t, g, http.MethodGet, path, g.api.Token, ""); code >= 500 {
			t.Errorf("%.40s…: %d %.100s", path, code, said)
		}
	}
}

// bombSlowly: half heads, half bodies, and streams, pages and exports that nobody reads.
func bombSlowly(t *testing.T, g *gateway, f *fires) {
	open := func(n int, raw string) {
		for range n {
			c, err := net.Dial("tcp", strings.TrimPrefix(g.api.URL, "http://"))
			must(t, err)
			t.Cleanup(func() { _ = c.Close() })
			must(t, c.(*net.TCPConn).SetReadBuffer(2048))
			_, err = io.WriteString(c, raw)
			must(t, err)
		}
	}
	who := " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + g.api.Token + "\r\n"
	open(300, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow:")
	open(300, "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n{")
	open(50, "GET /api/v1/stream"+who+"\r\n")
	open(20, "GET /openapi.json"+who+"\r\n")
	open(20, "GET /api/v1/exports/points.csv"+who+"\r\n")
	for i := range 500 { // something for the streams to say
		f.wire.send(t, "gridgate/up/sn:door-1", fmt.Appendf(nil, `{"door.open":%t,"tamper.alarm":%t,"seq":%d}`, i%2 == 0, i%2 == 0, i+1))
	}
	if code, _, _ := asks(t, g, http.MethodGet, "/api/v1/points?limit=1", g.api.Token, ""); code != http.StatusOK {
		t.Errorf("who asks beside them: %d", code)
	}
}

// bombHTTP2 speaks it by hand: no client would.
func bombHTTP2(t *testing.T, addr string) {
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "gridgate.lan"}, {":path", "/openapi.json"}} {
		must(t, enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}))
	}
	speak := func(what string, say func(f *http2.Framer, i int) error) {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		must(t, err)
		defer c.Close()
		if c.ConnectionState().NegotiatedProtocol != "h2" {
			t.Fatal("HTTP/2 is not spoken")
		}
		must(t, c.SetDeadline(time.Now().Add(30*time.Second)))
		_, err = io.WriteString(c, http2.ClientPreface)
		must(t, err)
		f := http2.NewFramer(c, c)
		must(t, f.WriteSettings())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = io.Copy(io.Discard, c) // until it is closed, or the deadline
		}()
		for i := range 20_000 {
			if err := say(f, i); err != nil {
				break // it has had enough
			}
		}
		_ = c.Close()
		<-gone
	}
	speak("resets", func(f *http2.Framer, i int) error {
		id := uint32(2*i + 1)
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: true}); err != nil {
			return err
		}
		return f.WriteRSTStream(id, http2.ErrCodeCancel)
	})
	speak("headers without end", func(f *http2.Framer, i int) error {
		if i == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes()})
		}
		return f.WriteContinuation(1, false, bytes.Repeat([]byte{0x82}, 10_000))
	})
	speak("pings", func(f *http2.Framer, i int) error { return f.WritePing(false, [8]byte{byte(i)}) })
	speak("settings", func(f *http2.Framer, i int) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
	})
}

func bombMQTT(t *testing.T, g *gateway) {
	c := connect(t, g.broker)
	deep := bytes.Repeat([]byte("["), 250_000)
	for _, payload := range [][]byte{
		deep, bytes.Repeat([]byte(`{"a":`), 50_000), bytes.Repeat([]byte{0x81}, 250_000), bytes.Repeat([]byte{0xbf, 0x61, 'a'}, 80_000), // CBOR: lists and maps in each other
		[]byte("\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"), []byte("\x5b\x00\x00\x00\x00\xff\xff\xff\xff"), // CBOR that says how much comes, and lies
		[]byte(`{"door.open":1e999999999}`), append([]byte(`{"door.open":`), append(bytes.Repeat([]byte("9"), 200_000), '}')...), bytes.Repeat([]byte("a"), 3<<20),
	} {
		for _, topic := range []string{"gridgate/up/sn:door-1", "gridgate/up/sn:stranger", "application/a/device/24e124141c141557/event/up", "zigbee2mqtt/known", "v3/app@tenant/devices/x/up", "tele/known/SENSOR", "spBv1.0/g/DDATA/n/d"} {
			c.send(t, topic, payload)
		}
	}
	g.settled(t)
}

func bombCoAP(t *testing.T, addr, stream string) {
	deep := func(b string, n int) io.ReadSeeker { return strings.NewReader(strings.Repeat(b, n)) }
	over, err := udp.Dial(addr)
	must(t, err)
	defer over.Close()
	overTCP, err := coaptcp.Dial(stream)
	must(t, err)
	defer overTCP.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for what, format := range map[string]message.MediaType{"JSON": message.AppJSON, "CBOR": message.AppCBOR, "SenML": message.AppSenmlJSON, "SenML in CBOR": message.AppSenmlCbor} {
		body := map[bool]string{true: "\x81", false: "["}[strings.Contains(what, "CBOR")]
		if got, err := over.Post(ctx, "/up/sn:door-1", format, deep(body, 20_000)); err != nil || got.Code() != codes.Changed {
			t.Errorf("%s over UDP: %v %v: want it taken, for a person to see", what, got, err)
		}
		if got, err := overTCP.Post(ctx, "/up/sn:door-1", format, deep(body, 60_000)); err != nil || got.Code() != codes.Changed {
			t.Errorf("%s over TCP: %v %v: want it taken, for a person to see", what, got, err)
		}
	}
	if got, err := overTCP.Post(ctx, "/up/sn:door-1", message.AppJSON, deep("x", 100_000)); err == nil && got.Code() == codes.Changed {
		t.Errorf("100,000 bytes are taken: %v", got)
	}
	// Uploads that begin and never end, from many peers.
	var answered atomic.Int64
	for i := range 200 {
		c := dialUDP(t, addr)
		for k := range 8 {
			var opts message.Options
			for _, s := range []string{"up", fmt.Sprintf("sn:half-%d-%d", i, k)} {
				opts = opts.Add(message.Option{ID: message.URIPath, Value: []byte(s)})
			}
			opts = opts.Add(message.Option{ID: message.ContentFormat, Value: []byte{50}})
			opts = opts.Add(message.Option{ID: message.Block1, Value: []byte{0x0e}})      // block 0 of 1,024 bytes, more to come
			opts = opts.Add(message.Option{ID: message.Size1, Value: []byte{0xff, 0xff}}) // and it will be large
			m := message.Message{Type: message.Confirmable, Code: codes.POST, MessageID: int32(i*8 + k), Token: []byte{byte(k)}, Options: opts, Payload: bytes.Repeat([]byte("["), 1024)}
			buf := make([]byte, 1500)
			n, err := coder.DefaultCoder.Encode(m, buf)
			must(t, err)
			_, err = c.Write(buf[:n])
			must(t, err)
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1500)); err == nil {
			answered.Add(1)
		}
	}
	if answered.Load() == 0 {
		t.Error("no half upload was answered: the test says nothing")
	}
	// A message over TCP that says it has four gigabytes.
	for range 50 {
		c, err := net.Dial("tcp", stream)
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = c.Write(append([]byte{0xf0, 0xff, 0xff, 0xff, 0xff, 0x02}, bytes.Repeat([]byte{0}, 4096)...))
		must(t, err)
	}
}

// 10,000 guesses at once from 10,000 addresses: passwords are worked out few at a time, and what
// smoke needs is left. The detectors are pressed one after the other until the tries are through.
func TestSmokeGoesItsWayDuringTenThousandLogInTries(t *testing.T) {
	g := newGateway(t, "auth: {plain_http: true}")
	trustHere(t, g)
	g.start(t)
	f := newFires(t, g)
	var tried, worked, turned, other atomic.Int64
	var workers sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: 30 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	const tries = 10_000
	for range 32 {
		workers.Go(func() {
			for n := tried.Add(1); ctx.Err() == nil; n = tried.Add(1) {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.api.URL+"/api/v1/session", strings.NewReader(fmt.Sprintf(`{"name":%q,"password":"guess-%d"}`, []string{"admin", "root", "lin"}[n%3], n)))
				if err != nil {
					other.Add(1)
					return
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("X-Forwarded-For", fmt.Sprintf("203.%d.%d.%d", n>>16&255, n>>8&255, n&255))
				res, err := client.Do(req)
				switch {
				case err != nil && ctx.Err() != nil:
					return
				case err != nil:
					other.Add(1)
					continue
				case res.StatusCode == http.StatusUnauthorized:
					worked.Add(1)
				case res.StatusCode == http.StatusTooManyRequests:
					turned.Add(1)
				default:
					other.Add(1)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	eventually(t, 30*time.Second, "the guessing to begin", func() error {
		if worked.Load()+turned.Load() < 100 {
			return fmt.Errorf("%d tries", tried.Load())
		}
		return nil
	})
	var took []time.Duration
	for f.pressed < mostFires && (f.pressed < 20 || tried.Load() < tries) {
		before := tried.Load()
		took = append(took, f.next(t))
		if tried.Load() == before && f.pressed > 1 {
			t.Log("nobody guessed while ", f.pressed, " was pressed") // the machine gave smoke all it has
		}
	}
	eventually(t, time.Minute, "10,000 tries", func() error {
		if n := tried.Load(); n < tries {
			return fmt.Errorf("%d tries", n)
		}
		return nil
	})
	cancel()
	workers.Wait()
	slices.Sort(took)
	now, most := g.bounded(t)
	t.Logf("%d tries: %d passwords worked out, %d turned away; smoke to the unit %d times: p50 %v, p99 %v; %d MB held, %d MB at most",
		tried.Load(), worked.Load(), turned.Load(), len(took), took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), now>>20, most>>20)
	if other.Load() > 0 || turned.Load() < 20*worked.Load() || worked.Load() == 0 {
		t.Errorf("%d passwords worked out, %d turned away, %d answered otherwise: want nearly all of them turned away", worked.Load(), turned.Load(), other.Load())
	}
	g.balanced(t)
}

// trustHere has the gateway believe where requests come from, as of a proxy beside it.
func trustHere(t *testing.T, g *gateway) {
	t.Helper()
	listen := strings.TrimPrefix(g.api.URL, "http://")
	b, err := os.ReadFile(g.config)
	must(t, err)
	write(t, g.config, strings.Replace(string(b), "http: {listen: "+listen+"}", "http: {listen: "+listen+", trusted_proxies: [127.0.0.0/8]}", 1))
}
