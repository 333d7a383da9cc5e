package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

func TestVersionTellsWhatSupportAsksFor(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "gridgate.yaml")
	if err := os.WriteFile(config, []byte("data_dir: data\ncoap: {listen: '127.0.0.1:5683'}\ninflux: {managed: false, url: 'http://127.0.0.1:8086', org: district, bucket: gridgate, token_file: secret}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := cli{T: t, environ: []string{"GRIDGATE_CONFIG=" + config}}
	out, _ := c.run(0, "version", "--json")
	var v version
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if v.Version == "" || v.Go != runtime.Version() || !strings.HasPrefix(v.Platform, runtime.GOOS+"/") || v.Config != config || len(v.Modules) == 0 {
		t.Errorf("got %+v", v)
	}
	if v.About == nil || v.Paths["data"] != filepath.Join(dir, "data") || v.Schema.Makes < 20 || v.Schema.Has != 0 || v.Profiles < 50 {
		t.Fatalf("got %+v, %s", v.About, v.Fault)
	}
	for _, want := range []string{"coap 127.0.0.1:5683", "influxdb 2.x"} {
		if !strings.Contains(strings.Join(v.Features, "\n"), want) {
			t.Errorf("features are %q: want %s", v.Features, want)
		}
	}
}

func TestVersionNamesTheSchemaOfTheDataFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	_, cfg := gatewayIn(t, data)
	out, _ := cli{T: t, environ: []string{"GRIDGATE_DATA_DIR=" + cfg.DataDir}}.run(0, "version", "--json")
	var v version
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	if v.Schema.Has == 0 || v.Schema.Has != v.Schema.Makes {
		t.Errorf("schema is %+v: want that of a gateway that has started", v.Schema)
	}
}

func TestVersionAnswersWhereTheConfigurationIsWrong(t *testing.T) {
	out, _ := cli{T: t, environ: []string{"GRIDGATE_DATA_DIRR=x"}}.run(0, "version")
	if !strings.Contains(out, "GRIDGATE_DATA_DIRR names no setting") || !strings.Contains(out, runtime.Version()) {
		t.Error(out)
	}
}

func TestVersionNamesTheCommitItWasBuiltFrom(t *testing.T) {
	v := version{Platform: "linux/arm"}
	v.built(&debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "4711"}, {Key: "vcs.time", Value: "2026-11-22T10:00:00Z"}, {Key: "vcs.modified", Value: "true"}, {Key: "GOARM", Value: "7"},
	}})
	if v.Commit != "4711" || v.At != "2026-11-22T10:00:00Z" || !v.Modified || v.Platform != "linux/arm GOARM=7" {
		t.Errorf("got %+v", v)
	}
}

func TestSystemdHearsThatTheGatewayIsReady(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := &app{environ: []string{"NOTIFY_SOCKET=" + socket}}
	a.notify("READY=1")
	said := make([]byte, 64)
	if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := l.Read(said)
	if err != nil || string(said[:n]) != "READY=1" {
		t.Errorf("got %q, %v", said[:n], err)
	}
	(&app{}).notify("READY=1") // no systemd: nothing happens
}
