package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gridgate/internal/gateway"
)

// exits runs gridgate in this process and checks the exit code: exits 2 ticket list --colour.
// Its output is in the files stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, argv []string) {
	if neg || len(argv) < 1 {
		ts.Fatalf("usage: exits CODE args…")
	}
	var out, errOut bytes.Buffer
	environ := []string{"HOME=" + ts.Getenv("HOME")}
	for _, name := range []string{"GRIDGATE_API", "GRIDGATE_TOKEN", "GRIDGATE_DATA_DIR", "GRIDGATE_HTTP_LISEN"} {
		if v := ts.Getenv(name); v != "" {
			environ = append(environ, name+"="+v)
		}
	}
	args := make([]string, len(argv)-1)
	for i, a := range argv[1:] {
		if args[i] = a; strings.HasPrefix(a, "./") {
			args[i] = ts.MkAbs(a)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	code := run(ctx, args, environ, strings.NewReader(""), &out, &errOut)
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), out.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), errOut.Bytes(), 0o600))
	if want, err := strconv.Atoi(argv[0]); err != nil || code != want {
		ts.Fatalf("gridgate %s: exit code %d, want %s\n%s%s", strings.Join(args, " "), code, argv[0], out.String(), errOut.String())
	}
}

// realGateway runs a gateway without InfluxDB on free loopback ports until the test ends.
func realGateway(t *testing.T) (*gateway.Gateway, gateway.Config) {
	t.Helper()
	return gatewayIn(t, filepath.Join(t.TempDir(), "data"))
}

func gatewayIn(t *testing.T, dir string, change ...func(*gateway.Config)) (*gateway.Gateway, gateway.Config) {
	t.Helper()
	cfg := gateway.Default()
	cfg.DataDir = dir
	cfg.HTTP.Listen, cfg.Broker.Listen, cfg.Influx.Managed = "127.0.0.1:0", "127.0.0.1:0", false
	cfg.Journal.ReserveBytes = 1 << 20
	for _, f := range change {
		f(&cfg)
	}
	g := gateway.New(cfg, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-g.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("the gateway is not ready after 30 s")
	}
	return g, cfg
}

// cli runs the command line against a gateway.
type cli struct {
	*testing.T
	environ []string
}

func (c cli) run(code int, args ...string) (out, errOut string) {
	c.Helper()
	var o, e bytes.Buffer
	if got := run(c.Context(), args, c.environ, strings.NewReader(""), &o, &e); got != code {
		c.Fatalf("gridgate %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, o.String(), e.String())
	}
	return o.String(), e.String()
}
