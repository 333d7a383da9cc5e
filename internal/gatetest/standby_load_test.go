package gatetest_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
)

// spoken is what devices have said and what of it was acknowledged, by payload: no two are the same.
type spoken struct {
	mu    sync.Mutex
	acked map[string]time.Time
	wg    sync.WaitGroup
}

const speakers = 16

// speak has detectors say their temperature until the gateway is gone, some 300 times a second.
func speak(t *testing.T, addr string) *spoken {
	s := &spoken{acked: map[string]time.Time{}}
	for n := range speakers {
		wire := connect(t, addr)
		s.wg.Go(func() {
			for i := 0; ; i++ {
				payload := ra02a(false, i)
				tok := wire.Publish(fmt.Sprintf("gridgate/up/eui:02670001000001%02x/6", n), 1, false, unhex(payload))
				if !tok.WaitTimeout(20*time.Second) || tok.Error() != nil || !wire.IsConnectionOpen() {
					return
				}
				s.mu.Lock()
				s.acked[fmt.Sprint(n, " ", payload)] = time.Now()
				s.mu.Unlock()
				time.Sleep(50 * time.Millisecond) // the rate, no proof
			}
		})
	}
	return s
}

func (s *spoken) reaches(t *testing.T, n int) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("%d acknowledgements", n), func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.acked) < n {
			return fmt.Errorf("%d", len(s.acked))
		}
		return nil
	})
}

// heldIn counts frames by who said what, of a journal as it is.
func heldIn(t *testing.T, dir string) map[string]int {
	t.Helper()
	frames, err := journal.OpenReadOnly(filepath.Join(dir, "journal"), nil)
	must(t, err)
	defer frames.Close()
	out := map[string]int{}
	for lane := range grid.Lane(grid.Lanes) {
		for at := frames.First(lane) - 1; ; {
			all, err := frames.Read(lane, at, 1000)
			must(t, err)
			if len(all) == 0 {
				break
			}
			for _, f := range all {
				at = f.Pos.Seq
				out[fmt.Sprintf("%s %x %d", f.Identity, f.Raw, f.Received.UnixNano())]++
			}
		}
	}
	return out
}

// lacking is what of the acknowledged a journal has not exactly once.
func (s *spoken) lacking(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	times := map[string]int{}
	for key, n := range heldIn(t, dir) {
		f := strings.Fields(key)
		times[f[0]+" "+f[1]] += n
	}
	out := map[string]time.Time{}
	for key, at := range s.acked {
		var n int
		var payload string
		_, err := fmt.Sscan(key, &n, &payload)
		must(t, err)
		if times[fmt.Sprintf("eui:02670001000001%02x %s", n, payload)] != 1 {
			out[key] = at
		}
	}
	return out
}

// speakersRegistry are the detectors that speak, and one that will see a fire.
func speakersRegistry() string {
	out := strings.Builder{}
	out.WriteString("points:\n  - {id: late, kind: smoke, mode: simulated}\n")
	for n := range speakers {
		fmt.Fprintf(&out, "  - {id: p%d, kind: smoke, mode: simulated}\n", n)
	}
	out.WriteString("devices:\n  - {identity: \"eui:02670001000002ff\", profile: netvox/ra02a, point: late, mode: simulated}\n")
	for n := range speakers {
		fmt.Fprintf(&out, "  - {identity: \"eui:02670001000001%02x\", profile: netvox/ra02a, point: p%d, mode: simulated}\n", n, n)
	}
	return out.String()
}

// The gateway is killed under load, some time after the standby's last look. What was acknowledged
// before that look is in the promoted copy; what came after it, a fire among it, is brought over
// when the disk is back, each frame once, also when it is asked for twice and after a restart. The
// standby has a token that reaches nothing else.
func TestWhatAStandbyHadNotFetchedIsBroughtOverFromTheOldDisk(t *testing.T) {
	other, g := newGateway(t), newGateway(t)
	g.start(t)
	g.put(t, speakersRegistry())
	made, err := g.api.AddToken(t.Context(), api.TokenAsk{Name: "second", Role: grid.RoleStandby})
	must(t, err)
	token := filepath.Join(g.dir, "standby.token")
	write(t, token, made.Token)
	if code, _, said := asks(t, g, "GET", "/api/v1/points", made.Token, ""); code != 403 {
		t.Errorf("a standby's token reads points: %d %.100s", code, said)
	}
	old, copied := filepath.Join(g.dir, "data"), filepath.Join(other.dir, "data")
	standby := gatetest.NewProgram(t, "standby", program(t, "gridgate"), "--config", other.config, "standby", "--from", g.api.URL, "--token-file", token, "--every", "100ms", "--state-every", "500ms")
	standby.Start(t)
	fleet := load(t, g, 500)
	devices := speak(t, g.broker)
	devices.reaches(t, 300)
	followed(t, copied, time.Now())
	standby.Kill()
	looked := lastLook(t, copied)
	devices.mu.Lock()
	then := len(devices.acked)
	devices.mu.Unlock()
	devices.reaches(t, then+100)
	connect(t, g.broker).send(t, "gridgate/up/eui:02670001000002ff/6", unhex(ra02a(true, 400)))
	g.Kill()
	down := time.Now()
	devices.wg.Wait()
	fleet.Kill()

	out := other.gridgate(t, "promote", "--token-file", token)
	other.start(t)
	t.Logf("killed, promoted, ready: %v; the standby's last look was %v before the kill; %s", time.Since(down).Round(time.Millisecond), down.Sub(looked).Round(time.Millisecond), out)
	lost := devices.lacking(t, copied)
	for key, at := range lost {
		if at.Before(looked) {
			t.Errorf("%s was acknowledged %v before the standby's last look, and is not here", key, looked.Sub(at))
		}
	}
	if len(lost) < 50 || len(all[grid.Ticket](t, other, "tickets", api.Query{Point: "late"})) > 0 {
		t.Fatalf("%d of %d are not here: the test proves nothing", len(lost), len(devices.acked))
	}
	t.Logf("%d acknowledged, %d of them not in the copy", len(devices.acked), len(lost))
	time.Sleep(time.Until(down.Truncate(time.Second).Add(time.Second))) // values are as of a second: what is newer is of the next
	bringOver(t, other, old, devices)
}

func lastLook(t *testing.T, dir string) time.Time {
	t.Helper()
	var d struct{ At time.Time }
	b, err := os.ReadFile(filepath.Join(dir, "standby.json"))
	must(t, err)
	must(t, json.Unmarshal(b, &d))
	return d.At
}

// recovered is what `gridgate standby recover` says.
type recovered struct {
	Lanes []struct {
		Lane    string
		After   uint64
		Brought int
	}
}

func (g *gateway) recovered(t *testing.T, old string) (r recovered) {
	t.Helper()
	out := g.gridgate(t, "standby", "recover", old, "--json")
	must(t, json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &r))
	return r
}

func bringOver(t *testing.T, other *gateway, old string, devices *spoken) {
	copied := filepath.Join(other.dir, "data")
	newest := connect(t, other.broker)
	for n := range speakers { // what comes over later is older than this
		newest.send(t, fmt.Sprintf("gridgate/up/eui:02670001000001%02x/6", n), unhex(ra02a(false, 1200+n)))
	}
	before := other.settled(t)
	_, _, _, _, had := sum(before)
	brought := 0
	for _, l := range other.recovered(t, old).Lanes {
		t.Logf("%s: %d brought over, %d were here", l.Lane, l.Brought, l.After)
		brought += l.Brought
	}
	if lost := devices.lacking(t, copied); len(lost) > 0 {
		t.Errorf("%d frames are not here exactly once afterwards: %v", len(lost), lost)
	}
	there := heldIn(t, copied)
	for key, n := range heldIn(t, old) {
		if there[key] != n {
			t.Errorf("%s: %d times there, %d times here", key, n, there[key])
		}
	}
	if _, _, _, _, now := sum(other.balanced(t)); now != had+int64(brought) {
		t.Errorf("%d frames after %d and %d that were brought over", now, had, brought)
	}
	if tickets := all[grid.Ticket](t, other, "tickets", api.Query{Point: "late"}); len(tickets) != 1 {
		t.Errorf("of the fire that nobody was told of: %d tickets", len(tickets))
	}
	for n := range speakers {
		if v, err := other.live(t, fmt.Sprint("p", n), grid.Temperature); err != nil || math.Abs(v.Value-float64(1200+n)/10) > 0.01 {
			t.Errorf("p%d: %v, %v: an older word has put a newer one aside", n, v, err)
		}
	}
	again := other.recovered(t, old)
	other.Kill()
	other.start(t)
	for _, r := range []recovered{again, other.recovered(t, old)} {
		for _, l := range r.Lanes {
			if l.Brought > 0 {
				t.Errorf("%s: %d frames were brought over once more", l.Lane, l.Brought)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(old, "fence.json")); err != nil {
		t.Error(err)
	}
}
