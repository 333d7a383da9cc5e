package gatetest_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/simulator"
)

// chaosSize says how bad it gets.
type chaosSize struct {
	frames   int           // in all, half of them by mosquitto, half by the embedded broker
	kills    int           // of the gateway, with -9
	restarts int           // of mosquitto
	length   time.Duration // in which the frames are sent, if nothing holds them up
	seed     uint64
}

// size is small in "go test" and whole in "make chaos".
func size(t *testing.T) chaosSize {
	s := chaosSize{frames: 10_000, kills: 5, restarts: 2, length: 16 * time.Second, seed: 1}
	if os.Getenv("GRIDGATE_TEST_CHAOS") == "full" {
		s.frames, s.kills, s.length = 50_000, 20, 75*time.Second
	}
	if v := os.Getenv("GRIDGATE_TEST_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil || n == 0 {
			t.Fatalf("GRIDGATE_TEST_SEED is %q: want a number from 1", v)
		}
		s.seed = n
	}
	return s
}

// Mixed frames over two brokers while the gateway is killed, InfluxDB is down half of the
// time, Mosquitto restarts and units are deaf or flaky. GRIDGATE_TEST_CHAOS=full is the
// whole of it ("make chaos"), GRIDGATE_TEST_SEED another course of events.
func TestNothingIsLostAndNothingDoubledInChaos(t *testing.T) {
	s := size(t)
	c := startChaos(t, s)
	began := time.Now()
	c.play(t, s)
	for _, f := range c.fleets {
		f.end(t)
	}
	t.Logf("%d frames in %.0f s; %d kills of the gateway, %d restarts of mosquitto, InfluxDB was down %.0f %% of the time",
		s.frames, time.Since(began).Seconds(), s.kills, s.restarts, 100*c.down.Seconds()/time.Since(began).Seconds())

	if c.influx.Ended() {
		c.influx.start(t)
	}
	c.gateway.wait(t)
	c.checkLedger(t)
	for _, f := range c.fleets {
		c.checkJournal(t, f)
		c.checkInflux(t, f)
	}
	c.checkTickets(t)
	c.checkDeliveries(t)
	c.checkRegistry(t)
}

// chaos is everything that runs.
type chaos struct {
	gateway   *gateway
	mosquitto *mosquitto
	influx    *influxd
	units     *gatetest.Program
	unitURLs  map[string]string // by unit
	fleets    []*fleet
	down      time.Duration // of InfluxDB
}

func startChaos(t *testing.T, s chaosSize) *chaos {
	c := &chaos{mosquitto: newMosquitto(t), influx: newInfluxd(t)}
	c.mosquitto.start(t)
	c.influx.start(t)
	dir := t.TempDir()
	var registries []string
	for i, broker := range []string{"mosquitto", "embedded"} {
		f := &fleet{name: broker, from: 1000 * i, size: 64, seed: 2*s.seed + uint64(i), frames: s.frames / 2, rate: float64(s.frames) / 2 / s.length.Seconds()}
		f.registry, f.sent = filepath.Join(dir, broker+".yaml"), filepath.Join(dir, broker+"-sent.jsonl")
		if _, err := gatetest.Run(t.Context(), program(t, "gridsim"), f.args("--registry", f.registry, "--dry-run")...); err != nil {
			t.Fatal(err)
		}
		c.fleets, registries = append(c.fleets, f), append(registries, f.registry)
	}
	unitsFile := filepath.Join(dir, "units.yaml")
	c.units = gatetest.NewProgram(t, "units", program(t, "gridsim"), "units", "--json", "--registry", unitsFile, "--seed", fmt.Sprint(s.seed),
		"--behaviour", "fire=deaf,micro_fire_station=flaky,property=flaky")
	c.units.Start(t)
	eventually(t, 20*time.Second, "the units' registry", func() error { _, err := os.Stat(unitsFile); return err })
	c.unitURLs = unitURLs(t, unitsFile)

	for _, name := range []string{"rules", "tickets"} { // shortened clocks: more happens
		b, err := os.ReadFile(filepath.Join(gatetest.Root(t), "configs", "demo", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name+".yaml"), string(b))
	}
	retry := "[0s, 200ms, 300ms, 500ms, 500ms, 500ms]"
	c.gateway = newGateway(t,
		"rules: "+filepath.Join(dir, "rules.yaml"), "tickets: "+filepath.Join(dir, "tickets.yaml"),
		"registry: ["+strings.Join(append(registries, unitsFile), ", ")+"]",
		"mqtt: [{name: city, url: mqtt://"+c.mosquitto.addr+", client_id: gridgate, topics: [application/+/device/+/event/+, zigbee2mqtt/+]}]",
		"influx: {managed: false, url: "+c.influx.url+", bucket: gridgate/autogen}",
		"dispatch: {allow_cidrs: [127.0.0.0/8], retry: {normal: "+retry+", urgent: "+retry+", jitter: 0.1, max_pause: 2s, max_pause_urgent: 1s}}",
	)
	c.gateway.start(t)
	eventually(t, 20*time.Second, "the subscription", func() error { // from now on mosquitto keeps what we miss
		r, err := c.gateway.api.Ready(t.Context())
		if err == nil && r.Parts["mqtt.city"] != "ok" {
			err = errors.New(r.Parts["mqtt.city"])
		}
		return err
	})
	for i, addr := range []string{c.mosquitto.addr, c.gateway.broker} {
		f := c.fleets[i]
		f.Program = gatetest.NewProgram(t, "fleet-"+f.name, program(t, "gridsim"), f.args("--broker", "mqtt://"+addr, "--print-sent", f.sent)...)
		f.Start(t)
	}
	return c
}

// play lets the worst happen, in an order and at times that the seed gives.
func (c *chaos) play(t *testing.T, s chaosSize) {
	rng := rand.New(rand.NewPCG(s.seed, 0x6368616f73))
	kill := func() {
		c.gateway.Kill()
		c.gateway.Start(t)
		if rng.IntN(4) > 0 { // else the next blow may come while it starts
			c.gateway.wait(t)
		}
	}
	restart := func() {
		c.mosquitto.Stop(t)
		c.mosquitto.Start(t)
	}
	var steps []func()
	for range s.kills {
		steps = append(steps, kill)
	}
	for range s.restarts {
		steps = append(steps, restart)
	}
	rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	average := s.length / time.Duration(len(steps)+1)
	var since time.Time
	for i, step := range steps {
		if i%2 == 0 {
			c.influx.Kill()
			since = time.Now()
		} else {
			c.influx.Start(t)
			c.down += time.Since(since)
		}
		pause := time.Duration(rng.Int64N(int64(3 * average)))
		if rng.IntN(3) == 0 { // at once, while everybody sends again what was not acknowledged
			pause = time.Duration(rng.Int64N(int64(50 * time.Millisecond)))
		}
		time.Sleep(pause) // real: other processes work meanwhile
		step()
	}
	if c.influx.Ended() {
		c.down += time.Since(since)
	}
}

// fleet is a gridsim fleet, and what it sends, worked out again from its seed.
type fleet struct {
	*gatetest.Program
	name           string
	from, size     int
	seed           uint64
	frames         int
	rate           float64
	registry, sent string
}

func (f *fleet) args(more ...string) []string {
	return append([]string{"fleet", "--json", "--scenario", "mixed", "--from", fmt.Sprint(f.from), "--size", fmt.Sprint(f.size),
		"--seed", fmt.Sprint(f.seed), "--count", fmt.Sprint(f.frames), "--rate", fmt.Sprint(f.rate), "--client", "fleet-" + f.name}, more...)
}

// end waits until the fleet has sent everything and everything is acknowledged.
func (f *fleet) end(t *testing.T) {
	t.Helper()
	if err := f.Wait(3 * time.Minute); err != nil {
		t.Fatalf("fleet over %s: %v", f.name, err)
	}
}

// said is one frame of the fleet and what is true in it.
type said struct {
	simulator.Message
	state simulator.State
	model *simulator.Model
	point string
}

// replay works out again all that the fleet said; only the times differ.
func (f *fleet) replay(t *testing.T) []said {
	t.Helper()
	r := &recorder{fleet: simulator.NewFleetFrom(f.from, f.size, f.seed)}
	p := simulator.Player{Fleet: r.fleet, Sink: r, Play: simulator.Play{Scenario: simulator.Mixed, Rate: 1e12, Count: uint64(f.frames)}}
	if err := p.Run(t.Context()); err != nil || len(r.all) != f.frames {
		t.Fatalf("%d frames, %v", len(r.all), err)
	}
	return r.all
}

type recorder struct {
	fleet *simulator.Fleet
	all   []said
}

func (r *recorder) Publish(_ context.Context, m simulator.Message) error {
	i := slices.IndexFunc(r.fleet.Devices, func(d *simulator.Device) bool { return d.Identity == m.Identity })
	d := r.fleet.Devices[i]
	state, _ := r.fleet.Look(d)
	r.all = append(r.all, said{m, state, d.Model, d.Point})
	return nil
}

// acked reads what the broker has acknowledged to the fleet.
func (f *fleet) acked(t *testing.T) map[string]int {
	t.Helper()
	file, err := os.Open(f.sent)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := map[string]int{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var m simulator.Message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		out[key(m.Identity, m.Counter)]++
	}
	return out
}

func key(id grid.Identity, counter uint32) string { return fmt.Sprintf("%s#%d", id, counter) }

func (c *chaos) checkLedger(t *testing.T) {
	t.Helper()
	l := c.gateway.balanced(t)
	processed, duplicate, ignored, quarantined, accepted := sum(l)
	sent := int64(0)
	for _, f := range c.fleets {
		sent += int64(f.frames)
	}
	t.Logf("%d sent and acknowledged, %d accepted: %d processed, %d duplicate", sent, accepted, processed, duplicate)
	if accepted < sent || processed < sent {
		t.Errorf("%d frames were acknowledged, %d accepted, %d processed", sent, accepted, processed)
	}
	if ignored+quarantined > 0 {
		t.Errorf("%d frames are ignored, %d in quarantine: nothing that was sent should", ignored, quarantined)
	}
}

// checkJournal looks for every acknowledged frame in the journal.
func (c *chaos) checkJournal(t *testing.T, f *fleet) {
	t.Helper()
	acked, all := f.acked(t), f.replay(t)
	if len(acked) != f.frames {
		t.Errorf("fleet over %s: %d of %d frames are acknowledged", f.name, len(acked), f.frames)
	}
	held := map[grid.Identity]map[string]int{}
	for _, m := range all {
		if held[m.Identity] == nil {
			held[m.Identity] = c.journalOf(t, m.Identity)
		}
		of := m.content()
		if acked[key(m.Identity, m.Counter)] > 0 && held[m.Identity][of] == 0 {
			t.Errorf("fleet over %s: frame %d of %s is acknowledged and not in the journal", f.name, m.Counter, m.Identity)
		}
		if m.model.Zigbee {
			held[m.Identity][of]-- // it may have sent the same content before
		}
	}
}

// content is what tells a frame from others of its device: the counter of the network,
// or where there is none the payload.
func (m *said) content() string {
	if m.model.Zigbee {
		return string(m.Payload)
	}
	return fmt.Sprint(m.Counter)
}

// journalOf counts a device's frames in the journal by content.
func (c *chaos) journalOf(t *testing.T, id grid.Identity) map[string]int {
	t.Helper()
	page, err := c.gateway.api.Frames(t.Context(), id, "", time.Time{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) == 1000 {
		t.Fatalf("%s has more frames than one page: make the fleet larger", id)
	}
	out := map[string]int{}
	for _, f := range page.Items {
		raw, err := hex.DecodeString(f.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(id), "z2m:") {
			out[string(raw)]++
			continue
		}
		var up struct {
			FCnt uint32 `json:"fCnt"`
		}
		if err := json.Unmarshal(raw, &up); err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprint(up.FCnt)]++
	}
	return out
}

// checkInflux compares every point of the fleet with what was sent: each frame is there
// once, with its values.
func (c *chaos) checkInflux(t *testing.T, f *fleet) {
	t.Helper()
	want := map[string]map[string]int{} // by point, by values
	zigbee := map[string]bool{}
	for _, m := range f.replay(t) {
		if v := m.values(t); v != "" {
			if want[m.point] == nil {
				want[m.point] = map[string]int{}
			}
			want[m.point][v]++
			zigbee[m.point] = m.model.Zigbee
		}
	}
	var got map[string]map[string]int
	eventually(t, time.Minute, "InfluxDB to hold the points of the fleet over "+f.name, func() error {
		got = c.stored(t)
		missing, some := 0, ""
		for point, values := range want {
			for v, n := range values {
				if n > got[point][v] {
					missing, some = missing+n-got[point][v], fmt.Sprintf("%s says %s %d times, not %d", point, v, got[point][v], n)
				}
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d points are missing, for example %s", missing, some)
		}
		return nil
	})
	for _, point := range slices.Sorted(maps.Keys(want)) {
		// Without a counter a frame that the broker forgot to have had cannot be told from news.
		if !zigbee[point] && !maps.Equal(want[point], got[point]) {
			t.Errorf("%s: InfluxDB does not hold what was sent:\n%s", point, differences(want[point], got[point]))
		}
	}
}

// differences lists values that are stored more or less often than sent.
func differences(want, got map[string]int) string {
	var out strings.Builder
	for _, v := range slices.Sorted(maps.Keys(got)) {
		if got[v] != want[v] {
			fmt.Fprintf(&out, "  %s: sent %d times, stored %d times\n", v, want[v], got[v])
		}
	}
	return out.String()
}

// values are the state and the signal strength that a frame tells of, in the words of
// stored; "" if it tells of no state.
func (m *said) values(t *testing.T) string {
	t.Helper()
	var main string
	switch {
	case m.model.Profile == "netvox/ra02a" && m.Kind == simulator.Startup:
		return "" // versions alone
	case m.model.Kind == grid.Door:
		main = fmt.Sprint(m.state.Open)
	case m.model.Kind == grid.Parking:
		main = fmt.Sprint(m.state.Occupied)
	case m.model.Kind == grid.Smoke:
		main = fmt.Sprint(m.state.Smoke)
	case m.model.Kind == grid.Manhole:
		main = fmt.Sprint(m.state.Tilt)
	}
	if m.model.Zigbee {
		return main
	}
	var up struct {
		RxInfo []struct {
			RSSI int `json:"rssi"`
		} `json:"rxInfo"`
		Data string `json:"data"`
	}
	if err := json.Unmarshal(m.Payload, &up); err != nil {
		t.Fatal(err)
	}
	if _, err := base64.StdEncoding.DecodeString(up.Data); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s at %d dBm", main, up.RxInfo[0].RSSI)
}

// stored reads everything back from InfluxDB: how often each point holds each value.
func (c *chaos) stored(t *testing.T) map[string]map[string]int {
	t.Helper()
	out := map[string]map[string]int{}
	for measurement, field := range map[string]string{"door": "open", "parking": "occupied", "manhole": "tilt_deg", "smoke": "alarm"} {
		found, err := query(t.Context(), c.influx.url, "gridgate", "", "SELECT "+field+", rssi_dbm FROM "+measurement+" GROUP BY point")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range found {
			values := map[string]int{}
			for _, row := range s.Values {
				v := fmt.Sprint(row[1])
				if row[2] != nil {
					v += fmt.Sprintf(" at %v dBm", row[2])
				}
				values[v]++
			}
			out[s.Tags["point"]] = values
		}
	}
	return out
}

// checkTickets: an episode has one ticket, and a point and type one that is open.
func (c *chaos) checkTickets(t *testing.T) {
	t.Helper()
	tickets := all[grid.Ticket](t, c.gateway, "tickets", api.Query{})
	open, byAlarm := map[string]string{}, map[string]string{}
	states := map[grid.TicketState]int{}
	for _, k := range tickets {
		states[k.State]++
		if other := byAlarm[k.Alarm]; other != "" {
			t.Errorf("tickets %s and %s are of one episode %s", k.ID, other, k.Alarm)
		}
		byAlarm[k.Alarm] = k.ID
		where := fmt.Sprintf("%s of %s%s", k.Type, k.Point, k.Device)
		if !k.State.Ended() && open[where] != "" {
			t.Errorf("tickets %s and %s are open for %s", k.ID, open[where], where)
		} else if !k.State.Ended() {
			open[where] = k.ID
		}
	}
	if len(tickets) == 0 {
		t.Error("no ticket was opened: the test is too tame")
	}
	t.Logf("%d tickets: %v", len(tickets), states)
}

// checkDeliveries: each ends, what the gateway says was received was, and no message
// came under two ids.
func (c *chaos) checkDeliveries(t *testing.T) {
	t.Helper()
	var deliveries []grid.Delivery
	eventually(t, 3*time.Minute, "every delivery to end", func() error {
		deliveries = all[grid.Delivery](t, c.gateway, "deliveries", api.Query{})
		pending := 0
		for _, d := range deliveries {
			if d.State == grid.DeliveryPending {
				pending++
			}
		}
		if pending > 0 {
			return fmt.Errorf("%d of %d are pending", pending, len(deliveries))
		}
		return nil
	})
	byID, same, states := map[string]grid.Delivery{}, map[string]string{}, map[string]int{}
	for _, d := range deliveries {
		byID[d.ID] = d
		states[fmt.Sprintf("%s %s", d.Unit, d.State)]++
		message := fmt.Sprintf("%s to %s, number %d", d.Ticket, d.Unit, d.N)
		if same[message] != "" {
			t.Errorf("deliveries %s and %s are the same message: %s", d.ID, same[message], message)
		}
		same[message] = d.ID
		if d.State == grid.DeliveryDead && d.Error == "" {
			t.Errorf("delivery %s is dead, and it does not say why", d.ID)
		}
	}
	again := 0
	for unit, url := range c.unitURLs {
		type list struct {
			Received []simulator.Received
			Refused  int
		}
		got, err := getJSON[list](t.Context(), strings.TrimSuffix(url, "/hook")+"/received", "")
		if err != nil {
			t.Fatal(err)
		}
		if got.Refused > 0 {
			t.Errorf("%s refused %d messages for their signature", unit, got.Refused)
		}
		has := map[string]bool{}
		opened := map[string]string{}
		for _, r := range got.Received {
			has[r.ID] = true
			again += r.Count - 1
			d, known := byID[r.ID]
			if !known || d.Unit != unit || d.Ticket != r.Ticket {
				t.Errorf("%s has message %s of ticket %s, and the gateway knows it as %+v", unit, r.ID, r.Ticket, d)
			}
			if strings.HasSuffix(r.Type, "ticket.opened") {
				if of := d.Ticket + d.Assignment; opened[of] != "" {
					t.Errorf("%s was called twice for assignment %s of ticket %s: messages %s and %s", unit, d.Assignment, d.Ticket, opened[of], r.ID)
				} else {
					opened[of] = r.ID
				}
			}
		}
		for _, d := range deliveries {
			if d.Unit == unit && d.State == grid.DeliveryReceived && !has[d.ID] {
				t.Errorf("%s does not have delivery %s, which the gateway believes received", unit, d.ID)
			}
		}
	}
	t.Logf("%d deliveries: %v; %d came more than once, under the same id", len(deliveries), states, again)
}

// checkRegistry: the registry files were imported at every start, and say the same.
func (c *chaos) checkRegistry(t *testing.T) {
	t.Helper()
	open := map[string]int{}
	for _, in := range all[grid.Installation](t, c.gateway, "installations", api.Query{}) {
		if in.To.IsZero() {
			open[string(in.Device)+" "+in.Channel]++
		}
	}
	for of, n := range open {
		if n != 1 {
			t.Errorf("%s is installed %d times", of, n)
			return
		}
	}
}

// unitURLs reads where the units listen.
func unitURLs(t *testing.T, file string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(string(b), "\n") {
		if id, url := quoted(line, "id: "), quoted(line, "url: "); id != "" && url != "" {
			out[id] = url
		}
	}
	return out
}

// quoted is the text in quotes after a key.
func quoted(line, key string) string {
	_, rest, _ := strings.Cut(line, key+`"`)
	text, _, _ := strings.Cut(rest, `"`)
	return text
}
