package gatetest_test

import (
	"strings"
	"testing"

	"gridgate/internal/gatetest"
)

func TestCheckWarnsWhenFewerFilesMayBeOpenThanPeersMayConnect(t *testing.T) {
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
