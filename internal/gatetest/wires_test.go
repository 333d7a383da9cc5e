package gatetest_test

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
)

func TestCheckWarnsWhenFewerFilesMayBeOpenThanPeersMayConnect(t *testing.T) {
	t.Parallel()
	sh := gatetest.FindPeer(t, "sh", "", false)
	for limit, warns := range map[string]bool{"2000": true, "15000": false} {
		t.Run(limit, func(t *testing.T) {
			if out, err := gatetest.Run(t.Context(), sh, "-c", "ulimit -n "+limit); err != nil {
				t.Skipf("no more than that may be open here: %v %s", err, out)
			}
			g := newGateway(t)
			// The soft limit is lower still: Go raises it to the hard one.
			g.Program = gatetest.NewProgram(t, "gridgate", sh, append([]string{"-c", `ulimit -n "$0" && ulimit -Sn 512 && exec "$@"`, limit, g.Path}, g.Args...)...)
			g.start(t)
			out := g.gridgate(t, "check")
			if got := strings.Contains(out, "files and its listeners let in peers for 10256"); got != warns {
				t.Errorf("check warns: %v, want %v:\n%s", got, warns, out)
			}
			if got := strings.Contains(g.Output(t), "fewer files may be open than peers may connect"); got != warns {
				t.Errorf("the log warns: %v, want %v", got, warns)
			}
			if !strings.Contains(out, "all well") {
				t.Errorf("a warning is no fault:\n%s", out)
			}
		})
	}
}

// The library forgets what it has answered after 16 s of silence, by a clock that no test can move.
func TestSameCoAPMessageAfter24sOfSilenceIsOneEvent(t *testing.T) {
	t.Parallel()
	addr := gatetest.FreeAddr(t)
	g := newGateway(t, "coap: {listen: "+addr+"}")
	g.start(t)
	g.put(t, coapRegistry)
	c := dialUDP(t, addr)
	tell(t, c, 7, `{"smoke.alarm":true}`)
	time.Sleep(26 * time.Second)
	tell(t, c, 7, `{"smoke.alarm":true}`)
	processed, duplicate, _, quarantined, _ := sum(g.balanced(t))
	if processed != 1 || duplicate != 0 || quarantined != 0 {
		t.Errorf("%d processed, %d duplicate, %d quarantined: want the alarm, and its repeat answered from memory", processed, duplicate, quarantined)
	}
	event("smoke.alarm", "smoke-1", 1)(t, g)
}
