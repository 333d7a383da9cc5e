package scenario

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"gridgate/simulator"
)

// Setting of a stage.
type Setting struct {
	Dir      string // keeps the gateway's folder; "": a temporary one, removed by Close
	Gridgate string // the gateway's program; "": beside ours, or on the PATH
	Influxd  string
	Speed    float64
	Start    time.Time // the city's time; zero: now
}

// Stage is a gateway of our own, with a broker and an InfluxDB where this machine has them,
// for whoever plays by hand and not by a timeline.
type Stage struct {
	own  *own
	dir  string
	temp bool
	bin  string
	// Missing are programs that this machine has not: the gateway's own broker stands in for
	// Mosquitto, nothing for InfluxDB.
	Missing []string
}

// OpenStage starts them and waits until the gateway is ready.
func OpenStage(ctx context.Context, set Setting) (*Stage, error) {
	o := Options{Gridgate: set.Gridgate, Influxd: set.Influxd}
	st := &Stage{temp: set.Dir == ""}
	s := &Scenario{ID: "stage", start: set.Start}
	if s.start.IsZero() {
		s.start = time.Now()
	}
	var err error
	if st.bin, err = simulator.FindProgram(set.Gridgate, "gridgate"); err != nil {
		return nil, err
	}
	if _, err := simulator.FindProgram("", "mosquitto", "/usr/sbin/mosquitto"); err == nil {
		s.Gateway.Broker = "mosquitto"
	} else {
		st.Missing = append(st.Missing, "mosquitto")
	}
	if _, err := simulator.FindProgram(set.Influxd, "influxd", ".tools/bin/influxd"); err == nil {
		s.Gateway.Influx = "real"
	} else {
		st.Missing = append(st.Missing, "influxd")
	}
	if st.temp {
		st.dir, err = os.MkdirTemp("", "gridsim-stage-")
	} else {
		st.dir, err = emptyFolder(set.Dir)
	}
	if err != nil {
		return nil, err
	}
	o.dir = st.dir
	if st.own, err = openOwn(ctx, s, set.Speed, &o); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// Close ends all of it.
func (st *Stage) Close() {
	if st.own != nil {
		st.own.close()
	}
	if st.temp {
		os.RemoveAll(st.dir)
	}
}

// URL of the gateway, Token of its administrator and the file that holds it.
func (st *Stage) URL() string       { return st.own.api.url }
func (st *Stage) Token() string     { return st.own.api.token }
func (st *Stage) TokenFile() string { return filepath.Join(st.dir, "data", "token") }

// Broker that the gateway listens to.
func (st *Stage) Broker() simulator.Broker { return st.own.broker }

// Parts that faults can get hold of.
func (st *Stage) Parts() Parts { return st.own.parts() }

// District is a schematic district with cells, as GeoJSON, drawn by the gateway's program.
func (st *Stage) District(ctx context.Context) ([]byte, error) {
	file := filepath.Join(st.dir, "cells.geojson")
	cmd := exec.CommandContext(ctx, st.bin, "grid", "demo", "--size", "500", "--out", file)
	cmd.Env = environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s grid demo: %w: %s", filepath.Base(st.bin), err, bytes.TrimSpace(out))
	}
	b, err := os.ReadFile(file)
	return b, cmp.Or(err, os.Remove(file))
}
