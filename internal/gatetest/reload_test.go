package gatetest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gridgate/configs"
)

// Frames come without a pause while the configuration is reloaded ten times, by turns well and
// badly: all that was acknowledged is in the ledger once, and what is refused changes nothing.
func TestTenReloadsUnderLiveIntakeLoseNoFrame(t *testing.T) {
	rules, err := configs.FS.ReadFile("rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, "rules: DIR/rules.yaml", "limits: {device_rate: 100}")
	file := filepath.Join(g.dir, "rules.yaml")
	write(t, file, string(rules))
	g.knows(t, brokersRegistry)
	g.start(t)
	config, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	d := connect(t, g.broker)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var sent atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			who, what := "door", fmt.Sprintf(`{"door.open":%v,"n":%d}`, n%2 == 0, n)
			if n%10 == 0 {
				who, what = "smoke", fmt.Sprintf(`{"smoke.alarm":false,"n":%d}`, n)
			}
			d.send(t, "gridgate/up/sn:"+who, []byte(what), false)
			sent.Add(1)
		}
	})
	for n := range 10 {
		before := sent.Load()
		eventually(t, 30*time.Second, "frames between two reloads", func() error {
			if sent.Load() < before+20 {
				return fmt.Errorf("%d", sent.Load()-before)
			}
			return nil
		})
		switch n % 3 {
		case 0: // as it should be
			write(t, file, string(rules)+fmt.Sprintf("\n# %d\n", n))
			write(t, g.config, strings.ReplaceAll(string(config), "device_rate: 100", fmt.Sprintf("device_rate: %d", 200+n)))
			r, err := g.api.Reload(t.Context())
			if err != nil || strings.Join(r.Changed, " ") != "limits.device_rate rules" || len(r.Restart) > 0 {
				t.Fatalf("reload %d: %+v, %v", n, r, err)
			}
		case 1:
			write(t, file, "rules: {no such thing")
			if _, err := g.api.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing was reloaded") {
				t.Fatalf("reload %d of a broken file: %v", n, err)
			}
		case 2: // by signal; a listener wants a restart
			write(t, file, string(rules))
			write(t, g.config, strings.ReplaceAll(string(config), "engine: {checkpoint_every: 1s}", "engine: {checkpoint_every: 2s}"))
			if err := g.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			eventually(t, 30*time.Second, "the reload in the log", func() error {
				if strings.Count(g.Output(t), "restart=[engine.checkpoint_every]") <= n/3 { // each of them, not only the first
					return fmt.Errorf("log: %s", g.Output(t))
				}
				return nil
			})
		}
	}
	stop()
	wg.Wait()
	g.settled(t)
	g.balanced(t)
	l, err := g.api.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, _, accepted := sum(l); accepted != sent.Load() {
		t.Errorf("%d frames were acknowledged, the ledger has %d", sent.Load(), accepted)
	}
	t.Logf("%d frames, 10 reloads", sent.Load())
}
