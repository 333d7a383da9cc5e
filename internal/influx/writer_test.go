package influx

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gridgate/internal/grid"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// door is one good line of a door.
func door(point string, seq int, open bool) string {
	var l Line
	l.Reset(Door, Stamp(day.Add(time.Duration(seq)*time.Second), uint64(seq)))
	l.Point, l.Cell, l.Street = point, "310105011003001", "310105011"
	l.Bool("open", open)
	b, err := AppendLine(nil, &l)
	if err != nil {
		panic(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

func doors(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, door("d-1", i, i%2 == 0))
	}
	return out
}

// What is written with the encoder is read back from the real server, to the bit.
func TestPointsComeBackAsTheyWereWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		r := newRig(t, p.Config, t.TempDir(), WriterOptions{})
		seed := uint64(1)
		rng := rand.New(rand.NewPCG(seed, 0))
		want := map[int64]Line{}
		var block []byte
		for i := range 2000 {
			l := randomLine(rng, uint64(i))
			b, err := AppendLine(block, &l)
			if err != nil {
				continue // a backslash in the wrong place
			}
			block, want[l.Time] = b, l
		}
		r.put(t, strings.TrimSuffix(string(block), "\n"))
		r.drain(t)
		if rejected := r.rejected(); len(rejected) > 0 {
			t.Fatalf("seed %d: %d rejected: %+v", seed, len(rejected), rejected[0])
		}
		res := p.query(t, `SELECT * FROM "grid_event"`)
		if len(want) < 1000 || len(res.Series) != 1 || len(res.Series[0].Values) != len(want) {
			t.Fatalf("seed %d: %d points did not come back whole", seed, len(want))
		}
		for _, row := range res.Series[0].Values {
			comparePoint(t, seed, res.Series[0].Columns, row, want)
		}
	})
}

func randomLine(rng *rand.Rand, seq uint64) Line {
	var l Line
	l.Reset(GridEvent, Stamp(day.Add(time.Duration(rng.Int64N(1e15))), seq))
	l.Point, l.Cell, l.Street = "p"+randomText(rng), "c"+randomText(rng), randomText(rng)
	l.Type, l.Priority = randomText(rng), "P1"
	l.Text("detail", randomText(rng))
	l.Bool("active", rng.IntN(2) == 0)
	v := math.Float64frombits(rng.Uint64())
	if math.IsNaN(v) || math.IsInf(v, 0) || rng.IntN(2) == 0 {
		v = float64(rng.Int64N(2_000_000)-1_000_000) / 100
	}
	l.Float("value", v)
	return l
}

func randomText(rng *rand.Rand) string {
	alphabet := []rune(`ab ,="\'/#:[]{}$%门磁井盖烟感é🔥` + "\u00a0")
	out := make([]rune, rng.IntN(9))
	for i := range out {
		out[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(out)
}

func comparePoint(t *testing.T, seed uint64, columns []string, row []any, want map[int64]Line) {
	t.Helper()
	got := map[string]string{}
	for i, c := range columns {
		if row[i] != nil {
			got[c] = fmt.Sprint(row[i])
		}
	}
	var ns int64
	fmt.Sscan(got["time"], &ns)
	l, ok := want[ns]
	if !ok {
		t.Fatalf("seed %d: a point at %d was not written", seed, ns)
	}
	for column, value := range map[string]string{
		"point": l.Point, "cell": l.Cell, "street": l.Street, "type": l.Type, "priority": l.Priority,
		"detail": l.fields[0].text, "active": fmt.Sprint(l.fields[1].number != 0),
	} {
		if got[column] != value {
			t.Errorf("seed %d: %s is %q: want %q", seed, column, got[column], value)
		}
	}
	var v float64
	if fmt.Sscan(got["value"], &v); v != l.fields[2].number {
		t.Errorf("seed %d: value is %s: want %v", seed, got["value"], l.fields[2].number)
	}
}

func TestBadLinesAreRejectedAndTheRestStored(t *testing.T) {
	bad := []string{
		"door,point=d-1 open=maybe 1767225600000000000",
		"door,point=d-1 tilt=1e999 1000", // no float64
		"nonsense",
	}
	onBoth(t, func(t *testing.T, p *peer) {
		r := newRig(t, p.Config, t.TempDir(), WriterOptions{BatchLines: 300})
		lines := doors(0, 400)
		lines[7], lines[150], lines[399] = bad[0], bad[1], bad[2]
		r.put(t, lines...)
		r.drain(t)
		rejected := r.rejected()
		if len(rejected) != 3 || rejected[0].Line != bad[0] || rejected[1].Line != bad[1] || rejected[2].Line != bad[2] {
			t.Fatalf("rejected %+v", rejected)
		}
		for _, rej := range rejected {
			if !strings.Contains(rej.Reason, "unable to parse") {
				t.Errorf("reason is %q: want the server's", rej.Reason)
			}
		}
		if n := p.points(t, Door, "open"); n != 397 {
			t.Errorf("%d points stored: want 397", n)
		}
		if s := r.Status(); s.Written != 397 || s.Rejected != 3 || !s.Up || s.LastError != "" {
			t.Errorf("status %+v", s)
		}
	})
}

func TestFieldOfAnotherTypeIsRejected(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		r := newRig(t, p.Config, t.TempDir(), WriterOptions{})
		r.put(t, doors(0, 10)...)
		r.drain(t)
		lines := doors(10, 110)
		lines[33] = strings.Replace(lines[33], "open=false", "open=0.5", 1)
		r.put(t, lines...)
		r.drain(t)
		rejected := r.rejected()
		if len(rejected) != 1 || rejected[0].Line != lines[33] || !strings.Contains(rejected[0].Reason, "field type conflict") {
			t.Fatalf("rejected %+v: want %s", rejected, lines[33])
		}
		if n := p.points(t, Door, "open"); n != 109 {
			t.Errorf("%d points stored: want 109", n)
		}
	})
}

func TestPointOlderThanTheRetentionPolicyIsRejected(t *testing.T) {
	p := start18(t)
	p.query(t, `CREATE DATABASE "gridgate" WITH DURATION 24h`)
	r := newRig(t, p.Config, t.TempDir(), WriterOptions{})
	recent := fmt.Sprintf("door,point=d-1 open=true %d", time.Now().UnixNano())
	r.put(t, door("d-1", 0, true), recent)
	r.drain(t)
	if rejected := r.rejected(); len(rejected) != 1 || !strings.Contains(rejected[0].Reason, "retention policy") {
		t.Errorf("rejected %+v", rejected)
	}
	if n := p.points(t, Door, "open"); n != 1 {
		t.Errorf("%d points stored: want 1", n)
	}
}

func TestWrongTokenKeepsEverythingAndSaysSo(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		right := "admin:a-password"
		if !p.v2 {
			p = start18(t, "INFLUXDB_HTTP_AUTH_ENABLED=true")
			p.query(t, `CREATE USER admin WITH PASSWORD 'a-password' WITH ALL PRIVILEGES`)
		} else {
			right = p.Token
		}
		dir := t.TempDir()
		p.Token = "admin:wrong"
		r := newRig(t, p.Config, dir, WriterOptions{})
		r.put(t, doors(0, 10)...)
		waitFor(t, "the refusal", func() bool { return strings.Contains(r.Status().LastError, "refuses the token") })
		if s := r.Status(); s.Up || s.QueueBytes == 0 || s.Oldest.IsZero() {
			t.Errorf("status %+v", s)
		}
		r.stop()
		p.Token = right
		r = newRig(t, p.Config, dir, WriterOptions{})
		r.drain(t)
		if n := p.points(t, Door, "open"); n != 10 || len(r.rejected()) > 0 {
			t.Errorf("%d points stored, %d rejected: want 10 and 0", n, len(r.rejected()))
		}
	})
}

func TestMissingBucketKeepsEverythingAndSaysSo(t *testing.T) {
	p := start2(t)
	p.Bucket = "elsewhere"
	r := newRig(t, p.Config, t.TempDir(), WriterOptions{})
	r.put(t, doors(0, 10)...)
	waitFor(t, "the refusal", func() bool { return strings.Contains(r.Status().LastError, `has no bucket "elsewhere"`) })
	if s := r.Status(); s.Up || s.QueueBytes == 0 {
		t.Errorf("status %+v", s)
	}
}

func TestDatabaseOfA18IsMadeAndMadeAgain(t *testing.T) {
	p := start18(t)
	p.Bucket = "grid/forever"
	r := newRig(t, p.Config, t.TempDir(), WriterOptions{})
	waitFor(t, "the database", func() bool { return r.Status().Up })
	p.query(t, `DROP DATABASE "grid"`)
	r.put(t, doors(0, 10)...)
	r.drain(t)
	if n := p.points(t, Door, "open"); n != 10 {
		t.Errorf("%d points stored: want 10", n)
	}
}

func TestOutageLosesAndDoublesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		r := newRig(t, p.Config, t.TempDir(), WriterOptions{Linger: 20 * time.Millisecond})
		r.put(t, doors(0, 100)...)
		r.drain(t)
		p.stop()
		for i := range 20 {
			r.put(t, doors(100+i*50, 150+i*50)...)
		}
		waitFor(t, "the outage to show", func() bool { s := r.Status(); return !s.Up && strings.Contains(s.LastError, "does not answer") })
		if s := r.Status(); s.QueueBytes < 20*50*60 {
			t.Errorf("status %+v: want a queue of 1000 lines", s)
		}
		p.restart(t)
		r.drain(t)
		if n := p.points(t, Door, "open"); n != 1100 {
			t.Errorf("%d points stored: want 1100", n)
		}
		if s := r.Status(); !s.Up || s.LastError != "" || len(r.rejected()) > 0 {
			t.Errorf("status %+v, rejected %v", s, r.rejected())
		}
	})
}

// Errors, lost answers and answers of others between us and the server.
func TestFaultsOnTheWayLoseAndDoubleNothing(t *testing.T) {
	p := start18(t)
	f := newFaults(t, p.URL)
	direct := *p
	p.URL = f.URL
	p.Timeout = 100 * time.Millisecond
	answer := func(status int) func(http.ResponseWriter, *http.Request, []byte, func() *http.Response) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte, _ func() *http.Response) bool {
			w.Header().Set("Location", "/ping")
			w.WriteHeader(status)
			return true
		}
	}
	faults := map[string]func(http.ResponseWriter, *http.Request, []byte, func() *http.Response) bool{
		"500": answer(500), "503": answer(503), "429": answer(429), "a proxy's 200": answer(200), "a redirect": answer(302), "an unknown 400": answer(400),
		"stored, then the answer is lost": func(w http.ResponseWriter, _ *http.Request, _ []byte, pass func() *http.Response) bool {
			pass().Body.Close()
			panic(http.ErrAbortHandler)
		},
		"stored, but too slow": func(w http.ResponseWriter, r *http.Request, _ []byte, pass func() *http.Response) bool {
			pass().Body.Close()
			<-r.Context().Done()
			return true
		},
	}
	r := newRig(t, p.Config, t.TempDir(), WriterOptions{BatchLines: 50})
	waitFor(t, "the connection", func() bool { return r.Status().Up })
	total := 0
	for name, fault := range faults {
		left := int64(10) // more than a bisection of 50 lines is deep
		f.mu.Lock()
		f.next = func(w http.ResponseWriter, r *http.Request, b []byte, pass func() *http.Response) bool {
			return atomic.AddInt64(&left, -1) >= 0 && fault(w, r, b, pass)
		}
		f.mu.Unlock()
		r.put(t, doors(total, total+100)...)
		total += 100
		r.drain(t)
		if n := direct.points(t, Door, "open"); n != int64(total) || len(r.rejected()) > 0 {
			t.Fatalf("after %s: %d points stored, %d rejected: want %d and 0", name, n, len(r.rejected()), total)
		}
		if atomic.LoadInt64(&left) > -2 {
			t.Errorf("%s did not happen", name)
		}
	}
}

func TestTooLargeBatchIsHalved(t *testing.T) {
	p := start18(t, "INFLUXDB_HTTP_MAX_BODY_SIZE=2000")
	r := newRig(t, p.Config, t.TempDir(), WriterOptions{})
	lines := doors(0, 200)
	lines[50] = `door,point=d-1 detail="` + strings.Repeat("x", 3000) + `" 1`
	r.put(t, lines...)
	r.drain(t)
	if n := p.points(t, Door, "open"); n != 199 {
		t.Errorf("%d points stored: want 199", n)
	}
	if rejected := r.rejected(); len(rejected) != 1 || rejected[0].Line != lines[50] {
		t.Errorf("%d lines rejected: want the one that is too large", len(rejected))
	}
}

func TestWritesMayBeCompressed(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		p.GZip = true
		r := newRig(t, p.Config, t.TempDir(), WriterOptions{})
		r.put(t, doors(0, 500)...)
		r.drain(t)
		if n := p.points(t, Door, "open"); n != 500 {
			t.Errorf("%d points stored: want 500", n)
		}
	})
}

func TestCursorWaitsUntilARejectedLineIsKept(t *testing.T) {
	p := start18(t)
	q := openCut(t, t.TempDir(), QueueOptions{}, Mark{})
	c, err := NewClient(p.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	asked := make(chan struct{}, 100)
	var able atomic.Bool
	w := NewWriter(c, q, func(context.Context, Rejected) error {
		asked <- struct{}{}
		if !able.Load() {
			return errors.New("state is busy")
		}
		return nil
	}, WriterOptions{Linger: time.Millisecond, FirstPause: time.Millisecond, MaxPause: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { w.Run(ctx) })
	q.Publish(mustAppend(t, q, "nonsense"))
	<-asked
	<-asked
	if s := w.Status(); s.QueueBytes == 0 || s.Rejected != 0 || !strings.Contains(s.LastError, "state is busy") {
		t.Errorf("status %+v: want the line still queued", s)
	}
	able.Store(true)
	waitFor(t, "an empty queue", func() bool { return w.Status().QueueBytes == 0 })
	if s := w.Status(); s.Rejected != 1 {
		t.Errorf("status %+v: want one rejected", s)
	}
}

func TestRepeatedFailureIsLoggedOnce(t *testing.T) {
	p := start18(t)
	f := newFaults(t, p.URL)
	var tries atomic.Int64
	f.next = func(w http.ResponseWriter, r *http.Request, _ []byte, _ func() *http.Response) bool {
		switch n := tries.Add(1); {
		case n <= 5:
			panic(http.ErrAbortHandler)
		case n <= 10:
			w.WriteHeader(500)
			return true
		}
		return false
	}
	p.URL = f.URL
	var log bytes.Buffer
	r := newRig(t, p.Config, t.TempDir(), WriterOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	r.put(t, doors(0, 10)...)
	r.drain(t)
	r.stop()
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
		t.Errorf("%d errors logged for two failures:\n%s", n, log.String())
	}
}

// A writer killed between InfluxDB's answer and the cursor writes the same points again;
// one that keeps its cursor close goes on from there.
func TestKilledWriterLosesAndDoublesNothing(t *testing.T) {
	for name, every := range map[string]time.Duration{"cursor never stored": time.Hour, "cursor stored at once": time.Nanosecond} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, p *peer) {
				dir := t.TempDir()
				q := openCut(t, dir, QueueOptions{}, Mark{})
				for i := range 100 {
					mustAppend(t, q, strings.Join(doors(i*50, i*50+50), "\n"))
				}
				q.Close()
				runWriterAndKillIt(t, p, dir, every)
				before := p.points(t, Door, "open")
				if before == 0 {
					t.Fatal("the killed writer has written nothing")
				}
				r := newRig(t, p.Config, dir, WriterOptions{})
				r.drain(t)
				if n := p.points(t, Door, "open"); n != 5000 {
					t.Errorf("%d points stored after %d: want 5000", n, before)
				}
				if again := r.Status().Written; every == time.Hour && again != 5000 || again < 5000-before {
					t.Errorf("%d points written after %d", again, before)
				}
			})
		})
	}
}

func runWriterAndKillIt(t *testing.T, p *peer, dir string, cursorEvery time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperWriterToBeKilled$")
	cmd.Env = append(os.Environ(), "INFLUX_HELPER_DIR="+dir, "INFLUX_HELPER_CURSOR="+cursorEvery.String(),
		"INFLUX_HELPER_URL="+p.URL, "INFLUX_HELPER_TOKEN="+p.Token, "INFLUX_HELPER_ORG="+p.Org)
	cmd.SysProcAttr = childAttr()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for said.Scan() && said.Text() != "written" {
	}
	cmd.Process.Kill()
	cmd.Wait()
}

// TestHelperWriterToBeKilled is the writer process of the test above.
func TestHelperWriterToBeKilled(t *testing.T) {
	dir := os.Getenv("INFLUX_HELPER_DIR")
	if dir == "" {
		t.Skip("helper of another test")
	}
	every, err := time.ParseDuration(os.Getenv("INFLUX_HELPER_CURSOR"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{URL: os.Getenv("INFLUX_HELPER_URL"), Token: os.Getenv("INFLUX_HELPER_TOKEN"), Org: os.Getenv("INFLUX_HELPER_ORG"), Bucket: "gridgate"}
	r := newRigOn(t, cfg, dir, QueueOptions{CursorEvery: every}, WriterOptions{BatchLines: 100})
	waitFor(t, "some lines", func() bool { return r.Status().Written >= 300 })
	fmt.Println("written")
	time.Sleep(time.Minute)
}

func TestHistoryComesBackInOrderAndBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		r := newRig(t, p.Config, t.TempDir(), WriterOptions{})
		hostile := `d'1" OR "point" != '`
		r.put(t, append(doors(0, 20), door(hostile, 5, true), `manhole,point=m-1 tilt_deg=12.5,detail="x" 1767225600000000007`)...)
		r.drain(t)
		ctx := t.Context()
		q := HistoryQuery{Point: "d-1", Measurement: Door, Field: "open", From: day.Add(5 * time.Second), To: day.Add(15 * time.Second)}
		got, err := r.client.History(ctx, q)
		if err != nil || len(got) != 10 {
			t.Fatalf("%d samples, %v: want 10", len(got), err)
		}
		for i, s := range got {
			if want := (Sample{time.Unix(0, Stamp(day.Add(time.Duration(5+i)*time.Second), uint64(5+i))).UTC(), float64((i + 6) % 2)}); s != want {
				t.Errorf("sample %d is %+v: want %+v", i, s, want)
			}
		}
		q.Limit = 3
		if got, err = r.client.History(ctx, q); err != nil || len(got) != 3 || got[2].At.Second() != 14 {
			t.Errorf("the newest three are %+v, %v", got, err)
		}
		q.Point, q.Limit = hostile, 0
		if got, err = r.client.History(ctx, q); err != nil || len(got) != 1 {
			t.Errorf("history of a hostile name is %+v, %v: want one", got, err)
		}
		got, err = r.client.History(ctx, HistoryQuery{Point: "m-1", Measurement: Manhole, Field: "tilt_deg"})
		if err != nil || len(got) != 1 || got[0].Value != 12.5 || got[0].At.UnixNano() != 1767225600000000007 {
			t.Errorf("history of a number is %+v, %v", got, err)
		}
		if got, err = r.client.History(ctx, HistoryQuery{Point: "nobody", Measurement: Smoke, Field: "alarm"}); err != nil || len(got) != 0 {
			t.Errorf("history of nothing is %+v, %v", got, err)
		}
		for _, bad := range []HistoryQuery{
			{Point: "d-1", Measurement: `door"; DROP DATABASE x`, Field: "open"},
			{Point: "d-1", Measurement: Door, Field: "*"},
			{Point: "", Measurement: Door, Field: "open"},
			{Point: "d-1", Measurement: Door, Field: "open", Limit: 1_000_000},
			{Point: "m-1", Measurement: Manhole, Field: "detail"},
		} {
			if _, err := r.client.History(ctx, bad); grid.CodeOf(err) != grid.Invalid {
				t.Errorf("%+v: %v: want invalid", bad, err)
			}
		}
		p.stop()
		if _, err := r.client.History(ctx, q); grid.CodeOf(err) != grid.Unavailable {
			t.Errorf("history of a stopped server: %v: want unavailable", err)
		}
	})
}

func TestClientWantsAnAddressAndABucket(t *testing.T) {
	for _, cfg := range []Config{{}, {URL: "127.0.0.1:8086", Bucket: "b"}, {URL: "ftp://x", Bucket: "b"}, {URL: "http://x"}, {URL: "http://u:p@x", Bucket: "b"}} {
		if _, err := NewClient(cfg); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%+v: %v: want invalid", cfg, err)
		}
	}
}
