package gatetest_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const smokeRegistry = `
points:
  - {id: ceiling-1, name: a ceiling, kind: smoke, district: "310105", building: b-1, address: 1 Demo Road, mode: simulated}
devices:
  - {identity: "eui:0267000100000001", profile: netvox/ra02a, point: ceiling-1, mode: simulated}
`

// ra02a is a report of a Netvox RA02A as a native message. Without a counter of the
// network only the temperature (tenths) tells one report from the next.
func ra02a(fire bool, temperature int) string {
	alarm := 0
	if fire {
		alarm = 1
	}
	return fmt.Sprintf("010a011e%02x00%04x000000", alarm, temperature)
}

// startUnits runs good units that work fast, and registers them.
func startUnits(t *testing.T, g *gateway) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "units.yaml")
	units := gatetest.NewProgram(t, "units", program(t, "gridsim"), "units", "--json", "--registry", file, "--accept-after", "50ms",
		"--arrive-after", "50ms", "--clear-after", "50ms", "--resolve-after", "50ms", "--confirm-after", "50ms")
	units.Start(t)
	eventually(t, 20*time.Second, "the units' registry", func() error { _, err := os.Stat(file); return err })
	b, err := os.ReadFile(file)
	must(t, err)
	g.put(t, string(b))
}

// shortClocks are the rules and plans of the demo, shorter still.
func shortClocks(t *testing.T) []string {
	t.Helper()
	var lines []string
	for _, name := range []string{"rules", "tickets"} {
		b, err := os.ReadFile(filepath.Join(gatetest.Root(t), "configs", "demo", name+".yaml"))
		must(t, err)
		text := strings.NewReplacer("check: {normal: 5s, settle: 20s, person: true}", "check: {normal: 1s, settle: 20s, person: true}", "off_delay: 3s", "off_delay: 1s").Replace(string(b))
		path := filepath.Join(t.TempDir(), name+".yaml")
		write(t, path, text)
		lines = append(lines, name+": "+path)
	}
	return lines
}

// A smoke alarm is told whole: from the bytes on the wire to the closed ticket.
func TestExplainTellsATicketFromItsBytesToItsClosure(t *testing.T) {
	g := newGateway(t, shortClocks(t)...)
	g.start(t)
	g.put(t, smokeRegistry)
	startUnits(t, g)
	wire := connect(t, g.broker)
	const topic = "gridgate/up/eui:0267000100000001/6"
	wire.send(t, topic, unhex(ra02a(true, 420)))
	temperature := 250
	ticket := closeTicket(t, g, "ceiling-1", func() {
		temperature--
		wire.send(t, topic, unhex(ra02a(false, temperature)))
	})

	var told api.Explanation
	must(t, json.Unmarshal([]byte(g.gridgate(t, "--json", "explain", ticket)), &told))
	inOrder(t, told.Timeline, [][2]string{
		{"frame", ra02a(true, 420)},
		{"decoded", "netvox/ra02a"},
		{"event", "smoke.alarm raised at ceiling-1"},
		{"alarm", "begins"},
		{"ticket", "opened"},
		{"delivery", "ticket.opened for sim-micro-fire-station"},
		{"answer", "answered 200"},
		{"move", "accept"},
		{"move", "arrive"},
		{"move", "resolve"},
		{"move", "confirm"},
		{"closed", "is closed"},
	})
	for _, want := range [][2]string{{"decoded", "smoke.alarm = true"}, {"alarm", "back to normal"}, {"event", "smoke.alarm cleared"}} {
		if !tells(told.Timeline, want) {
			t.Errorf("the timeline does not tell of %v", want)
		}
	}
	text := g.gridgate(t, "explain", ticket)
	for _, want := range []string{ticket, ra02a(true, 420), "smoke.alarm", "sim-micro-fire-station", "is closed"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not hold %q", want)
		}
	}
	t.Logf("gridgate explain %s:\n%s", ticket, text)
	g.balanced(t)
}

// closeTicket waits until the ticket of a point is closed; meanwhile the sensor says
// that all is well.
func closeTicket(t *testing.T, g *gateway, point string, normal func()) (id string) {
	t.Helper()
	eventually(t, time.Minute, "the ticket to be accepted", func() error {
		found := all[grid.Ticket](t, g, "tickets", api.Query{Point: point})
		if len(found) != 1 || found[0].State == grid.TicketDispatched {
			return fmt.Errorf("%+v", found)
		}
		id = found[0].ID
		return nil
	})
	next := time.Now()
	eventually(t, time.Minute, "the ticket to be closed", func() error {
		if time.Now().After(next) {
			next = time.Now().Add(500 * time.Millisecond)
			normal()
		}
		k, err := g.api.Ticket(t.Context(), id)
		if err == nil && k.State != grid.TicketClosed {
			err = fmt.Errorf("it is %s, confirmed by %q", k.State, k.Confirmed)
		}
		return err
	})
	return id
}

func tells(steps []api.Step, want [2]string) bool {
	for _, s := range steps {
		if s.What == want[0] && strings.Contains(s.Detail, want[1]) {
			return true
		}
	}
	return false
}

// inOrder looks for each wanted step after the one before.
func inOrder(t *testing.T, steps []api.Step, want [][2]string) {
	t.Helper()
	for _, s := range steps {
		if len(want) > 0 && s.What == want[0][0] && strings.Contains(s.Detail, want[0][1]) {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		var told strings.Builder
		for _, s := range steps {
			fmt.Fprintf(&told, "\n  %s %s: %s", s.At.Format("15:04:05.000"), s.What, s.Detail)
		}
		t.Errorf("the timeline does not tell of %v in its place:%s", want[0], told.String())
	}
}

// load starts a fleet over the embedded broker; it is registered.
func load(t *testing.T, g *gateway, rate int) *gatetest.Program {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fleet.yaml")
	args := []string{"fleet", "--json", "--scenario", "mixed", "--size", "64", "--seed", "9", "--broker", "mqtt://" + g.broker, "--registry", file}
	if _, err := gatetest.Run(t.Context(), program(t, "gridsim"), append(args, "--dry-run")...); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	must(t, err)
	g.put(t, string(b))
	p := gatetest.NewProgram(t, "fleet", program(t, "gridsim"), append(args, "--rate", fmt.Sprint(rate))...)
	p.Start(t)
	return p
}

// taken waits until the gateway has processed so many frames.
func (g *gateway) taken(t *testing.T, n int64) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("%d processed frames", n), func() error {
		l, err := g.api.Ledger(t.Context())
		if processed, _, _, _, _ := sum(l); err == nil && processed < n {
			err = fmt.Errorf("%d are", processed)
		}
		return err
	})
}

// Told to stop under load, with clients connected, the gateway ends in good order; the
// figures are in the log.
func TestGatewayStopsInGoodOrderUnderLoad(t *testing.T) {
	i := newInfluxd(t)
	i.start(t)
	g := newGateway(t, "influx: {managed: false, url: "+i.url+", bucket: gridgate/autogen}")
	g.start(t)
	t.Logf("start to ready, empty: %v", g.ready.Round(time.Millisecond))
	for range 20 {
		connect(t, g.broker)
	}
	listener, listening := *g.api, sync.WaitGroup{}
	listening.Go(func() { listener.Stream(t.Context(), func(api.Message) error { return nil }) }) // until the test ends
	t.Cleanup(listening.Wait)
	fleet := load(t, g, 2000)
	g.taken(t, 3000)
	took := g.Stop(t)
	t.Logf("graceful stop under load: %v", took.Round(time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	g.start(t)
	t.Logf("start to ready, after that: %v", g.ready.Round(time.Millisecond))
	g.taken(t, 5000)
	fleet.Stop(t)
	g.balanced(t)
}

// A backup is taken while frames come in; restored into a new folder it is a gateway with
// the same tickets, a ledger that balances and positions of a new epoch.
func TestBackupOfARunningGatewayIsRestored(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, smokeRegistry)
	wire := connect(t, g.broker)
	wire.send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))
	fleet := load(t, g, 1000)
	g.taken(t, 1000)
	backup := filepath.Join(t.TempDir(), "backup")
	g.gridgate(t, "backup", backup)
	g.taken(t, 2000)
	fleet.Stop(t)
	tickets := all[grid.Ticket](t, g, "tickets", api.Query{Point: "ceiling-1"})
	g.balanced(t)
	g.Stop(t)

	other := newGateway(t)
	other.gridgate(t, "restore", backup)
	if _, err := gatetest.Run(t.Context(), program(t, "gridgate"), "--config", other.config, "restore", backup); err == nil || !strings.Contains(err.Error(), "want an empty data_dir") {
		t.Errorf("restored over what was restored: %v", err)
	}
	other.start(t)
	processed, _, _, _, _ := sum(other.balanced(t))
	if processed < 1000 {
		t.Errorf("%d frames are processed after the restore, 1000 were before the backup", processed)
	}
	got := all[grid.Ticket](t, other, "tickets", api.Query{Point: "ceiling-1"})
	if len(got) != 1 || len(tickets) != 1 || got[0].ID != tickets[0].ID {
		t.Errorf("tickets are %+v: want %+v", got, tickets)
	}
	if before, now := epochOf(t, other, false), epochOf(t, other, true); before != "1" || now != "2" {
		t.Errorf("the epoch was %s and is %s: want 1 and 2", before, now)
	}
	other.Stop(t)
	other.start(t)
	if again := epochOf(t, other, true); again != "2" {
		t.Errorf("the epoch is %s after another start: want 2", again)
	}
	other.balanced(t)
}

// epochOf is the epoch of the newest frame of the smoke detector; report sends one first.
func epochOf(t *testing.T, g *gateway, report bool) string {
	t.Helper()
	if report {
		connect(t, g.broker).send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(false, 180)))
		g.settled(t)
	}
	page, err := g.api.Frames(t.Context(), "eui:0267000100000001", "", time.Time{}, 1)
	must(t, err)
	if len(page.Items) != 1 {
		t.Fatalf("%d frames", len(page.Items))
	}
	if _, err := hex.DecodeString(page.Items[0].Raw); err != nil {
		t.Error(err)
	}
	return strings.Split(page.Items[0].Pos, "/")[1]
}
