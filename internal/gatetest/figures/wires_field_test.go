package figures

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// playField makes the test binary the field instead: all devices of BenchmarkWires, in a
// process of their own, which takes orders on standard input and answers each with a line.
const playField = "GRIDGATE_FIGURES_FIELD"

// order to the field; one of its parts is set.
type order struct {
	Open *opening
	Send *sending
}

// opening says where the gateway listens and who speaks over what.
type opening struct {
	Broker, UDP, DTLS string
	PSK               string   // of every session
	MQTT, Plain, Keys []string // identities
}

// sending is one load: each device of the networks reports once in Every, each of the lines
// once in Line, for so long. Every 0 is: all once, at the same moment.
type sending struct {
	Every, Line, For time.Duration
	First            uint32 // number of the first report of each device
}

// heard is what one wire has to say of a load.
type heard struct {
	Sent, Acked, Repeats int
	P50, P99, Max        float64 // ms from when a device had something to say to its acknowledgement
	Errors               []string
}

// reply of the field to an order; the first comes unasked and names the ports.
type reply struct {
	Ports []string
	Took  time.Duration
	Wires map[string]heard
	Error string
}

// device says its k-th report and comes back when that is acknowledged.
type device interface {
	report(k uint32) (repeats int, err error)
}

// wire is all devices that speak in one way.
type wire struct {
	name    string
	devices []device
	line    bool

	mu   sync.Mutex
	hist *hdrhistogram.Histogram
	got  heard
}

// field is the devices.
type field struct {
	ptys  []*port
	wires []*wire
}

// runField obeys until standard input ends.
func runField(in io.Reader, out io.Writer) error {
	var f field
	answer := json.NewEncoder(out)
	ports, err := f.plug()
	if err != nil {
		return err
	}
	if err := answer.Encode(reply{Ports: ports}); err != nil {
		return err
	}
	for orders := json.NewDecoder(in); ; {
		var o order
		if err := orders.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		var r reply
		began := time.Now()
		switch {
		case o.Open != nil:
			if err := f.open(o.Open); err != nil {
				r.Error = err.Error()
			}
		case o.Send != nil:
			r.Wires = f.send(o.Send)
		}
		r.Took = time.Since(began)
		if err := answer.Encode(r); err != nil {
			return err
		}
	}
}

// send plays one load on all wires at once.
func (f *field) send(s *sending) map[string]heard {
	began := time.Now().Add(100 * time.Millisecond)
	var wg sync.WaitGroup
	for _, w := range f.wires {
		w.hist, w.got = hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3), heard{}
		every := s.Every
		if w.line {
			every = s.Line
		}
		for i, d := range w.devices {
			wg.Go(func() {
				first := every * time.Duration(i) / time.Duration(len(w.devices))
				if every == 0 {
					w.one(d, s.First, began)
					return
				}
				for at, k := first, s.First; at < s.For; at, k = at+every, k+1 {
					w.one(d, k, began.Add(at))
				}
			})
		}
	}
	wg.Wait()
	all := map[string]heard{}
	for _, w := range f.wires {
		ms := func(us int64) float64 { return float64(us) / 1000 }
		w.got.P50, w.got.P99, w.got.Max = ms(w.hist.ValueAtQuantile(50)), ms(w.hist.ValueAtQuantile(99)), ms(w.hist.Max())
		all[w.name] = w.got
	}
	return all
}

// one report, due at a moment: what the device waits before it can begin counts too.
func (w *wire) one(d device, k uint32, due time.Time) {
	time.Sleep(time.Until(due))
	repeats, err := d.report(k)
	took := time.Since(due)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got.Sent++
	w.got.Repeats += repeats
	switch {
	case err == nil:
		w.got.Acked++
		_ = w.hist.RecordValue(max(took.Microseconds(), 1))
	case len(w.got.Errors) < 5:
		w.got.Errors = append(w.got.Errors, err.Error())
	}
}

// fieldProcess is the field seen from the benchmark.
type fieldProcess struct {
	b     *testing.B
	in    io.WriteCloser
	out   *bufio.Reader
	ports []string
}

func newField(b *testing.B) *fieldProcess {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env, cmd.Stderr = append(os.Environ(), playField+"=1"), os.Stderr
	p := &fieldProcess{b: b}
	if p.in, err = cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.in.Close(); _ = cmd.Wait() })
	p.ports = p.reply().Ports
	return p
}

func (p *fieldProcess) order(o order) reply {
	p.b.Helper()
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		p.b.Fatal(err)
	}
	return p.reply()
}

func (p *fieldProcess) reply() reply {
	p.b.Helper()
	line, err := p.out.ReadBytes('\n')
	var r reply
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err == nil && r.Error != "" {
		err = fmt.Errorf("%s", r.Error)
	}
	if err != nil {
		p.b.Fatalf("the field: %v", err)
	}
	return r
}
