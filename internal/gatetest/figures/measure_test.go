package figures

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gatetest"
	"gridgate/simulator"
)

// start: from nothing to ready.
func start(b *testing.B, _ length) []row {
	took := newGateway(b, "").start()
	return []row{{"start to ready, empty", "≤ 1 s", fmt.Sprintf("%.2f s", took.Seconds()), took <= time.Second}}
}

// journal: the package's own benchmark, for as long as asked.
func journal(b *testing.B, l length) []row {
	m := goBench(b, "internal/journal", "BenchmarkAppend1000Callers", l.journal.String())
	got := join(rate(m["frames/s"]), fmt.Sprintf("%.0f in a commit", m["frames/commit"]),
		fmt.Sprintf("commit p99 %.1f ms, worst %.1f ms", m["p99-commit-ms"], m["worst-commit-ms"]))
	return []row{{fmt.Sprintf("journal: 200-byte frames, 1,000 callers, fsynced, retention on, a reader following, %v", l.journal), "≥ 100,000 frames/s", got, m["frames/s"] >= 100_000}}
}

// engine: frames of a full journal to state and InfluxDB queue, without a network.
func engine(b *testing.B, _ length) []row {
	m := goBench(b, "internal/engine", "BenchmarkFramesToState", "500000x")
	got := join(rate(m["frames/s"]), fmt.Sprintf("%.1f µs CPU and %.1f allocations a frame", m["cpu-µs/frame"], m["allocs/frame"]))
	return []row{{"engine alone: journal → decoded → state → InfluxDB queue, 500,000 frames", "", got, true}}
}

var benchMetric = regexp.MustCompile(`([0-9.e+]+) (\S+)`)

// goBench runs a benchmark of another package and reads what it reports.
func goBench(b *testing.B, pkg, name, benchtime string) map[string]float64 {
	out, err := exec.Command("go", "test", "-run", "^$", "-timeout", "1h", "-bench", "^"+name+"$", "-benchtime", benchtime, "gridgate/"+pkg).CombinedOutput()
	if err != nil {
		b.Fatalf("%s: %v: %s", name, err, out)
	}
	m := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, name) {
			for _, f := range benchMetric.FindAllStringSubmatch(line, -1) {
				m[f[2]], _ = strconv.ParseFloat(f[1], 64)
			}
		}
	}
	return m
}

// embeddedBroker: from a publisher to InfluxDB, with everything on these cores.
func embeddedBroker(b *testing.B, l length) (rows []row) {
	some := doors(10_000)
	for _, conns := range []int{1, 50} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			t := push(b, running(b, some, ""), some, conns, l.usual)
			rows = append(rows, row{fmt.Sprintf("embedded broker, QoS 1, %d connection(s), 1 %% alarms, broker, InfluxDB and load on the same cores, %v", conns, l.usual),
				"≥ 20,000 frames/s, ledger balances", t.String(), t.perSecond() >= 20_000 && t.balanced})
		})
	}
	return rows
}

// mosquitto: the same through another broker.
func mosquitto(b *testing.B, l length) (rows []row) {
	some := doors(10_000)
	for _, inflight := range []int{1000, 20} {
		b.Run(fmt.Sprint(inflight), func(b *testing.B) {
			t := push(b, running(b, some, mosquittoAt(b, inflight)), some, 10, l.usual/2)
			r := row{fmt.Sprintf("Mosquitto, max_inflight_messages %d, the same load", inflight), "", t.String(), true}
			if inflight == 1000 {
				r.wish, r.reached = "≤ 22 µs CPU a frame", t.cpuEach() <= 22 && t.balanced
			}
			rows = append(rows, r)
		})
	}
	return rows
}

// alarms are enough for a p99.
const alarms = 200

// smoke: from a detector's frame to the ticket at the micro fire station, in peace and
// while bays send twice as much as the gateway can take to its end.
func smoke(b *testing.B, l length) (rows []row) {
	bays := fleet{model: "bosch/tps110", n: 10_000, seed: baySeed}
	b.Run("quiet", func(b *testing.B) {
		g, unit := detectors(b, bays)
		res := raise(b, g, unit, 100*time.Millisecond)
		rows = append(rows, row{fmt.Sprintf("smoke frame published → ticket at the tier-2 unit's endpoint, quiet, %d alarms", alarms),
			"p99 ≤ 50 ms", quantiles(res), res.Latency.P99 <= 50 && res.Arrived == alarms})
	})
	b.Run("flood", func(b *testing.B) {
		g, unit := detectors(b, bays)
		sustained := push(b, g, bays, 10, l.usual/2).perSecond()
		flood := make(chan simulator.LoadResult)
		go func() { flood <- load(b, g, bays, 10, l.flood+2*time.Second, 2*sustained) }()
		time.Sleep(time.Second)
		res := raise(b, g, unit, l.flood/alarms)
		waiting := g.metrics()["gridgate_engine_waiting_frames"]
		f := <-flood
		got := join(quantiles(res), fmt.Sprintf("flood of %s asked for, %s acknowledged, PUBACK p99 %.0f ms, %s frames waiting in the journal at its end",
			rate(2*sustained), rate(f.FramesPerS), f.Latency.P99, thousands(int64(waiting))))
		rows = append(rows, row{fmt.Sprintf("the same during %v of parking frames at twice the sustained rate", l.flood),
			"p99 ≤ 250 ms", got, res.Latency.P99 <= 250 && res.Arrived == alarms})
		g.drained(0)
		if !g.balanced() {
			b.Error("the ledger does not balance after the flood")
		}
	})
	return rows
}

// detectors is a gateway with smoke detectors and bays, and the port of the fire station.
func detectors(b *testing.B, bays fleet) (*gateway, int) {
	_, port, _ := strings.Cut(gatetest.FreeAddr(b), ":")
	unit, err := strconv.Atoi(port)
	if err != nil {
		b.Fatal(err)
	}
	g := newGateway(b, "")
	g.register(registryOf(b, bays), smokeRegistry(b, unit))
	g.start()
	return g, unit
}

// raise makes every detector alarm once.
func raise(b *testing.B, g *gateway, unit int, gap time.Duration) simulator.SmokeResult {
	return gridsim[simulator.SmokeResult](b, g, "smoke", "--n", fmt.Sprint(alarms), "--gap", gap.String(), "--wait", "60s",
		"--port", fmt.Sprint(unit), "--seed", fmt.Sprint(smokeSeed))
}

func quantiles(r simulator.SmokeResult) string {
	return fmt.Sprintf("p50 %.0f ms, p99 %.0f ms, max %.0f ms, %d of %d arrived", r.Latency.P50, r.Latency.P99, r.Latency.Max, r.Arrived, r.Alarms)
}

// devices: what a million registered ones cost.
func devices(b *testing.B, l length) (rows []row) {
	empty := newGateway(b, "")
	empty.start()
	many := doors(l.devices)
	g := newGateway(b, "")
	g.register(registryOf(b, many), property(b))
	took := g.start()
	rss, heap := (g.rss()-empty.rss())/float64(l.devices), (g.heap()-empty.heap())/float64(l.devices)
	rows = append(rows,
		row{thousands(int64(l.devices)) + " registered devices in memory, each at a point", "≤ 400 bytes each", fmt.Sprintf("%.0f bytes live on the heap, %.0f bytes of RSS", heap, rss), heap <= 400},
		row{"start to ready with them", "≤ 10 s", fmt.Sprintf("%.1f s", took.Seconds()), took <= 10*time.Second})
	if l.full {
		t := push(b, g, many, 50, l.usual)
		rows = append(rows, row{"embedded broker with them, 50 connections", "≥ 20,000 frames/s, ledger balances", t.String(), t.perSecond() >= 20_000 && t.balanced})
	}
	return rows
}
