package main

import (
	"strings"
	"testing"
)

func TestReadyAsksTheRunningGateway(t *testing.T) {
	g, cfg := realGateway(t)
	c := cli{T: t, environ: []string{"GRIDGATE_API=http://" + g.APIAddr(), "GRIDGATE_DATA_DIR=" + cfg.DataDir}}
	if out, _ := c.run(exitOK, "ready"); out != "ready\n" {
		t.Errorf("got %q", out)
	}
	if out, _ := c.run(exitOK, "ready", "--json"); !strings.Contains(out, `"parts": {`) {
		t.Errorf("got %s: want the parts", out)
	}
	c.environ[0] = "GRIDGATE_API=http://127.0.0.1:1"
	c.run(exitUnreachable, "ready")
}
