package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"gridgate/simulator"
)

// gridsim runs the program with args.
func gridsim(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var o, e bytes.Buffer
	code = run(ctx, args, &o, &e)
	return code, o.String(), e.String()
}

// everyone may do everything.
type everyone struct{ mochi.HookBase }

func (*everyone) ID() string { return "everyone" }
func (*everyone) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}
func (*everyone) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (*everyone) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

// broker runs a real broker in the test.
func broker(t *testing.T) string {
	t.Helper()
	s := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(everyone), nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
	if err := s.AddListener(l); err != nil {
		t.Fatal(err)
	}
	go s.Serve()
	t.Cleanup(func() { s.Close() })
	return "mqtt://" + l.Address()
}

func TestExitCodesSayWhatWentWrong(t *testing.T) {
	none := "mqtt://127.0.0.1:1"
	for _, c := range []struct {
		want int
		args string
	}{
		{0, "--help"},
		{0, "fleet --help"},
		{2, "fleet --no-such-flag"},
		{2, "fleet --scenario earthquake"},
		{2, "fleet --scenario parking-flood"},
		{2, "fleet --model acme/anvil"},
		{2, "fleet --dry-run"},
		{2, "units --units pirates"},
		{2, "units --behaviour fire=sulky"},
		{2, "bench"},
		{0, "run --list"},
		{2, "run"},
		{2, "run no-such-day"},
		{2, "run kitchen-smoke --all"},
		{1, "run kitchen-smoke --gateway http://127.0.0.1:1"},
		{2, "bench --model acme/anvil --count 1"},
		{1, "bench --count 1 --broker " + none},
		{1, "fleet --broker ftp://nowhere --count 1"},
	} {
		code, _, errOut := gridsim(t, strings.Fields(c.args)...)
		if code != c.want {
			t.Errorf("gridsim %s: exit code %d, want %d: %s", c.args, code, c.want, errOut)
		}
	}
}

func TestAFleetListsWhatWasAcknowledged(t *testing.T) {
	sent := filepath.Join(t.TempDir(), "sent.jsonl")
	code, out, errOut := gridsim(t, "fleet", "--broker", broker(t), "--scenario", "mixed", "--size", "40", "--rate", "20000", "--count", "2000", "--print-sent", sent, "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var sum Summary
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &sum); err != nil || sum.Frames != 2000 || sum.Acked != 2000 {
		t.Errorf("summary %+v, %v", sum, err)
	}
	b, err := os.ReadFile(sent)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		var m simulator.Message
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		key := string(m.Identity) + " " + strconv.Itoa(int(m.Counter))
		if seen[key] || m.Topic == "" || m.Kind == "" || m.At.IsZero() {
			t.Errorf("%s: twice, or not complete", line)
		}
		seen[key] = true
	}
	if len(seen) != 2000 {
		t.Errorf("%d frames are listed", len(seen))
	}
}

func TestRunWritesItsRegistryBeforeItPlaysAndEndsWithItsTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.yaml")
	code, out, errOut := gridsim(t, "play", "--broker", broker(t), "--registry", file, "--for", "1s")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"points:\n", "devices:\n", "units:\n", "whsec_", "micro_fire_station", "simulated"} {
		if !strings.Contains(string(b), part) {
			t.Errorf("the registry holds no %s", part)
		}
	}
	for _, part := range []string{"listens at http://127.0.0.1:", "16 devices report", "acknowledged"} {
		if !strings.Contains(out, part) {
			t.Errorf("the output holds no %q:\n%s", part, out)
		}
	}
}

func TestADryRunOnlyWrites(t *testing.T) {
	for _, args := range []string{"fleet --size 8", "units --port 0", "play", "bench --devices 20", "bench smoke --n 3"} {
		file := filepath.Join(t.TempDir(), "r.yaml")
		code, _, errOut := gridsim(t, append(strings.Fields(args), "--dry-run", "--registry", file)...)
		if info, err := os.Stat(file); code != 0 || err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("gridsim %s: exit code %d, %v: %s", args, code, err, errOut)
		}
	}
}

func TestABenchPrintsItsFigures(t *testing.T) {
	code, out, errOut := gridsim(t, "bench", "--broker", broker(t), "--count", "3000", "--conns", "2", "--devices", "100", "--json")
	var res simulator.LoadResult
	if err := json.Unmarshal([]byte(out), &res); code != 0 || err != nil || res.Acked != 3000 || res.Latency.Max <= 0 {
		t.Errorf("exit code %d, %+v, %v: %s", code, res, err, errOut)
	}
}
