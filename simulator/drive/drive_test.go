package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bin builds the gateway for a test, or takes that of GRIDGATE_BIN.
func bin(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("short: needs a gateway of its own")
	}
	if bin := os.Getenv("GRIDGATE_BIN"); bin != "" {
		return bin
	}
	bin := filepath.Join(t.TempDir(), "gridgate")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "gridgate/cmd/gridgate").CombinedOutput(); err != nil {
		t.Fatalf("gridgate: %v\n%s", err, out)
	}
	return bin
}

// table is a drive with its page, played until the test ends.
type table struct {
	t   *testing.T
	d   *Drive
	url string
}

func play(t *testing.T, cfg Config) *table {
	t.Helper()
	cfg.Gridgate, cfg.Seed, cfg.Devices, cfg.Quiet = bin(t), 1, 1, true
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		d.Close()
	})
	p := &table{t, d, s.URL()}
	p.until("every device was heard", func(l Live) bool { return l.Gateway && l.Sent > 0 && l.Ledger.Accepted >= int64(d.Len()) })
	return p
}

func (p *table) ask(method, path, body string, header ...string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (p *table) post(path, body string) {
	p.t.Helper()
	if status, said := p.ask("POST", "api/"+path, body); status != http.StatusNoContent {
		p.t.Fatalf("POST %s %s: %d %s", path, body, status, said)
	}
}

func (p *table) live() (l Live) {
	p.t.Helper()
	_, said := p.ask("GET", "api/live", "")
	if err := json.Unmarshal([]byte(said), &l); err != nil {
		p.t.Fatal(err, said)
	}
	return l
}

// until waits for what the page would show.
func (p *table) until(what string, is func(Live) bool) Live {
	p.t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		l := p.live()
		if is(l) {
			return l
		}
		if time.Now().After(end) {
			_, log := p.ask("GET", "api/log", "")
			b, _ := json.Marshal(l)
			p.t.Fatalf("waited in vain: %s\n%s\n%s", what, b, log)
		}
	}
}

// said reports whether the log has a line of a kind about a point.
func (p *table) said(kind, point, part string) bool {
	p.t.Helper()
	var got struct{ Items []Line }
	_, said := p.ask("GET", "api/log", "")
	if err := json.Unmarshal([]byte(said), &got); err != nil {
		p.t.Fatal(err)
	}
	for _, l := range got.Items {
		if l.Kind == kind && (point == "" || l.Point == point) && strings.Contains(l.Text.EN, part) {
			return true
		}
	}
	return false
}

func TestAFireIsATicketThatClosesAfterItIsOver(t *testing.T) {
	p := play(t, Config{Speed: 600, Hold: true})
	const point = "sim-demo-1-smoke-1"
	p.post("points/"+point+"/act", `{"do":"fire"}`)
	l := p.until("a P1 alarm and its ticket", func(l Live) bool { return len(l.Alarms) == 1 && len(l.Tickets) == 1 })
	if a := l.Alarms[0]; a.Priority != 1 || a.Point != point || a.Type != "smoke.alarm" || l.Doing[point] != "fire" {
		t.Fatalf("alarm is %+v, doing %v: want P1 smoke.alarm at %s, fire", a, l.Doing, point)
	}
	p.until("units accept it and say that it is a fire", func(Live) bool {
		return p.said("delivery", point, "Demo micro fire station: received") && p.said("unit", point, "accepts") && p.said("unit", point, "there is a fire")
	})
	p.until("the leading unit has done what it can", func(Live) bool { return p.said("unit", point, "Demo micro fire station reports done") })
	if l := p.live(); len(l.Alarms) != 1 || l.Doing[point] != "fire" {
		t.Fatalf("alarms are %+v, doing %v: want the fire to burn until the page ends it", l.Alarms, l.Doing)
	}
	p.post("points/"+point+"/act", `{"do":"normal"}`)
	p.until("the ticket is closed", func(l Live) bool { return len(l.Tickets) == 0 && len(l.Alarms) == 0 && len(l.Doing) == 0 })
	if !p.said("ticket", point, "is closed") || !p.said("act", point, "Back to normal") {
		t.Error("log: want what was done, and that the ticket is closed")
	}
	p.until("the ledger balances, with all that was sent", func(l Live) bool {
		return l.Ledger.Balanced && l.Ledger.Waiting == 0 && l.Pending == 0 && l.Ledger.Accepted >= l.Sent
	})
}

func TestWhatIsSaidWhileTheBrokerIsUnpluggedComesAfterwards(t *testing.T) {
	p := play(t, Config{Speed: 60})
	name := "broker.down"
	if len(p.d.Missing()) > 0 && p.d.Missing()[0] == "mosquitto" {
		if status, said := p.ask("POST", "api/faults/"+name, `{"on":true}`); status != http.StatusConflict || !strings.Contains(said, "Mosquitto") {
			t.Fatalf("broker.down without Mosquitto is %d %s: want 409 and why", status, said)
		}
		name = "net.partition"
	}
	p.post("faults/"+name, `{"on":true}`)
	for house := 1; house <= 3; house++ {
		p.post(fmt.Sprintf("points/sim-demo-%d-smoke-2/act", house), `{"do":"fire"}`)
	}
	if l := p.live(); l.Pending != 3 || len(l.Alarms) != 0 {
		t.Fatalf("unplugged: %d on the way, %d alarms: want 3 and none", l.Pending, len(l.Alarms))
	}
	p.post("faults/"+name, `{"on":false}`)
	l := p.until("all three are heard", func(l Live) bool {
		return l.Pending == 0 && len(l.Alarms) == 3 && l.Ledger.Balanced && l.Ledger.Waiting == 0 && l.Ledger.Accepted >= l.Sent
	})
	for _, a := range l.Alarms {
		if a.Priority != 1 {
			t.Errorf("alarm %+v: want P1", a)
		}
	}
	if l.Ledger.Lost != 0 || l.Ledger.Quarantined != 0 {
		t.Errorf("ledger is %+v: want nothing lost or put aside", l.Ledger)
	}
	p.guarded()
}

// guarded tries what another page of this machine, or who does not know the address, may not.
func (p *table) guarded() {
	t, act := p.t, "api/points/sim-demo-1-smoke-1/act"
	t.Helper()
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		want               int
	}{
		"a foreign page":          {"POST", act, `{"do":"fire"}`, []string{"Origin", "http://evil.example"}, 403},
		"a foreign page reads":    {"GET", "api/live", "", []string{"Origin", "null"}, 403},
		"told by the browser":     {"POST", act, `{"do":"fire"}`, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a name that points here": {"GET", "api/live", "", []string{"Host", "evil.example"}, 403},
		"a form":                  {"POST", act, `{"do":"fire"}`, []string{"Content-Type", "text/plain"}, 400},
		"an act that is none":     {"POST", act, `{"do":"explode"}`, nil, 400},
		"an act of another kind":  {"POST", act, `{"do":"open"}`, nil, 400},
		"a key that is none":      {"POST", act, `{"do":"fire","at":"once"}`, nil, 400},
		"a point that is none":    {"POST", "api/points/x/act", `{"do":"fire"}`, nil, 404},
		"a unit that is none":     {"POST", "api/units/x", `{"be":"good"}`, nil, 404},
		"a fault that is none":    {"POST", "api/faults/x", `{"on":true}`, nil, 404},
		"the page itself":         {"GET", "", "", nil, 200},
	} {
		if status, said := p.ask(c.method, c.path, c.body, c.header...); status != c.want {
			t.Errorf("%s is answered %d %.200s: want %d", name, status, said, c.want)
		}
	}
	own := p.url
	p.url = own[:strings.LastIndex(strings.TrimSuffix(own, "/"), "/")+1] + "ANOTHERTOKEN/"
	if status, _ := p.ask("GET", "api/live", ""); status != http.StatusNotFound {
		t.Errorf("another token is answered %d: want 404", status)
	}
	p.url = own
}

func TestAGatewayOfARealCityIsRefused(t *testing.T) {
	real := http.NewServeMux()
	real.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"ready":true,"simulation":{"allowed":false,"speed":1,"now":"2026-01-01T00:00:00Z"}}`)
	})
	l, err := (&Drive{}).Listen("127.0.0.1:0") // a free port, and nothing else of it
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(l.listener, real)
	defer l.listener.Close()
	_, err = Open(t.Context(), Config{Gateway: "http://" + l.listener.Addr().String(), Devices: 40})
	if err == nil || !strings.Contains(err.Error(), "simulation.allowed") {
		t.Errorf("error is %v: want that it does not report simulation.allowed", err)
	}
}
