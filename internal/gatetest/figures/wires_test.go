package figures

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/simulator"
)

// The field of BenchmarkWires.
const connections, plainPeers, sessions = 5000, 4500, 500

// wiresOrder is how the table shows them.
var wiresOrder = [...]string{"MQTT", "CoAP", "CoAP, DTLS", "GB/T 26875.3", "Modbus", "text"}

const contactProfile = `profile: test/contact
version: "1"
vendor: Test
model: Contact
firmware: any
kinds: [door]
source: this figure
interval: 1s
codec: modbus
modbus:
  polls: [{name: inputs, function: 2, start: 0, count: 1, every: 500ms}]
  fields: [{name: open, bit: 0}]
signals:
  tamper: open
`

// allWires is a gateway with all wires, and the field that is to speak to it.
type allWires struct {
	*gateway
	field *fieldProcess
	open  opening
	unit  int // port of the fire station
	sent  map[string]int
}

func newAllWires(b *testing.B) *allWires {
	w := &allWires{field: newField(b), sent: map[string]int{}}
	some := registryOf(b, doors(connections+plainPeers+sessions))
	var ids []string
	for d := range some.Devices {
		ids = append(ids, string(d.Identity))
	}
	w.open = opening{UDP: gatetest.FreeAddr(b), DTLS: gatetest.FreeAddr(b), PSK: hex.EncodeToString(make([]byte, 16)),
		MQTT: ids[:connections], Plain: ids[connections : connections+plainPeers], Keys: ids[connections+plainPeers:]}
	w.unit = freePort(b)
	w.gateway = newGateway(b, "", w.config(b)...)
	w.open.Broker = w.broker
	w.register(some, smokeRegistry(b, w.unit), property(b))
	return w
}

func freePort(b *testing.B) int {
	_, text, _ := strings.Cut(gatetest.FreeAddr(b), ":")
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// config of CoAP and of the eight lines.
func (w *allWires) config(b *testing.B) []string {
	dir := b.TempDir()
	keys := []string{"devices:"}
	for _, id := range w.open.Keys {
		keys = append(keys, fmt.Sprintf("  - {device: %q, psk: %q}", id, w.open.PSK))
	}
	writeFile(b, filepath.Join(dir, "keys.yaml"), strings.Join(keys, "\n"))
	writeFile(b, filepath.Join(dir, "profiles/test/contact/profile.yaml"), contactProfile)
	lines := []string{
		"coap: {listen: " + w.open.UDP + ", dtls: {listen: " + w.open.DTLS + ", keys_file: " + filepath.Join(dir, "keys.yaml") + "}}",
		"profiles: [" + filepath.Join(dir, "profiles") + "]",
		"serial:",
	}
	for i, path := range w.field.ports {
		protocol := "gbt26875"
		switch {
		case i == len(w.field.ports)-1:
			protocol = "stx-etx"
		case i >= transmitters+modbusLines:
			protocol = "lines"
		case i >= transmitters:
			protocol = "modbus-rtu"
		}
		line := fmt.Sprintf("  - {name: p%d, path: %s, baud: 115200, protocol: %s", i, path, protocol)
		if protocol == "modbus-rtu" {
			line += ", slaves: [{address: 1, profile: test/contact}, {address: 2, profile: test/contact}]"
		}
		lines = append(lines, line+"}")
	}
	return lines
}

func writeFile(b *testing.B, path, text string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

// importLines registers what is behind the ports.
func (w *allWires) importLines() {
	var points, devices, installed strings.Builder
	at := func(i int, kind string) string {
		name := fmt.Sprintf("line-%d-%s", i, kind)
		fmt.Fprintf(&points, "  - {id: %s, name: %s, kind: %s, mode: simulated}\n", name, name, kind)
		return name
	}
	device := func(id, profile, point string) {
		if point != "" {
			point = ", point: " + point
		}
		fmt.Fprintf(&devices, "  - {identity: %q, profile: %s, mode: simulated%s}\n", id, profile, point)
	}
	for i := range w.field.ports {
		switch {
		case i < transmitters:
			id := fmt.Sprintf("gb26875:%d", 7001+i)
			device(id, "gbt26875/transmitter", "")
			fmt.Fprintf(&installed, "  - {device: %q, channel: \"1.3/12.7\", point: %s, from: 2026-01-01T00:00:00Z}\n", id, at(i, "smoke"))
		case i < transmitters+modbusLines:
			for u := range modbusUnits {
				device(fmt.Sprintf("modbus:p%d/%d", i, u+1), "test/contact", at(10*i+u, "door"))
			}
		default:
			device(fmt.Sprintf("line:p%d", i), "gridgate/json", at(i, "door"))
		}
	}
	text := "points:\n" + points.String() + "devices:\n" + devices.String() + "installations:\n" + installed.String()
	if _, err := w.api.Import(w.b.Context(), []byte(text), false); err != nil {
		w.b.Fatal(err)
	}
}

// BenchmarkWires is every wire at once on one gateway: memory, processor time and latency,
// connected and idle, at a steady rate, at a high one, and when all report at the same moment.
func BenchmarkWires(b *testing.B) {
	fmt.Printf("\n%s\n\n", machine(b))
	w := newAllWires(b)
	w.start()
	w.importLines()
	fmt.Printf("%s MQTT connections with a subscription each, %s CoAP devices over UDP and %d over DTLS with keys, %d ptys: %d transmission devices of GB/T 26875.3, %d Modbus lines of %d units read twice a second, %d lines of text (one STX/ETX). InfluxDB, units and devices are other processes on the same cores.\n\n",
		thousands(connections), thousands(plainPeers), sessions, len(w.field.ports), transmitters, modbusLines, modbusUnits, textLines)
	fmt.Println("| load | gateway's CPU | RSS | heap, with garbage | stacks of goroutines | frames acknowledged | " + strings.Join(wiresOrder[:], " | ") + " |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|---|---|")
	w.quiet("started, nobody connected", 5*time.Second)
	cpu := w.cpu()
	opened := w.field.order(order{Open: &w.open})
	cpu = w.cpu() - cpu
	w.until("all ports are open", func(m metrics) bool { return m["gridgate_link_up"] >= float64(len(w.field.ports)+3) })
	w.quiet("all connected, no reports yet", 20*time.Second)

	w.load("each reports once a minute, lines every 10 s", sending{Every: time.Minute, Line: 10 * time.Second, For: time.Minute, First: 1})
	smoke := make(chan simulator.SmokeResult)
	go func() {
		time.Sleep(2 * time.Second)
		smoke <- raise(b, w.gateway, w.unit, 100*time.Millisecond)
	}()
	w.load("each reports every 2 s, lines every second", sending{Every: 2 * time.Second, Line: time.Second, For: 30 * time.Second, First: 10})
	fire := <-smoke
	w.load("all report at the same moment", sending{First: 100})

	m := w.drained(0)
	fmt.Printf("\n- connecting all: %.1f s, %.0f ms CPU a thousand\n", opened.Took.Seconds(), cpu.Seconds()*1e6/(connections+plainPeers+sessions))
	fmt.Printf("- smoke alarm by MQTT during the high rate, published → ticket at the tier-2 unit's endpoint: %s\n", quantiles(fire))
	fmt.Printf("- tickets opened: %s; %s\n\n", thousands(int64(m["gridgate_engine_open_tickets"])), w.verdict())
}

// load plays one, and shows what it took.
func (w *allWires) load(name string, s sending) {
	began, cpu := time.Now(), w.cpu()
	r := w.field.order(order{Send: &s})
	w.row(name, w.cpu()-cpu, time.Since(began), r.Wires)
	for name, h := range r.Wires {
		w.sent[name] += h.Acked
		if h.Acked != h.Sent {
			w.b.Errorf("%s: %d of %d reports were acknowledged: %v", name, h.Acked, h.Sent, h.Errors)
		}
	}
}

// quiet is a row of a while without reports.
func (w *allWires) quiet(name string, d time.Duration) {
	began, cpu := time.Now(), w.cpu()
	time.Sleep(d)
	w.row(name, w.cpu()-cpu, time.Since(began), nil)
}

func (w *allWires) row(name string, cpu, d time.Duration, wires map[string]heard) {
	m := w.metrics()
	var acked, repeats int
	for _, h := range wires {
		acked += h.Acked
		repeats += h.Repeats
	}
	frames := "-"
	if wires != nil {
		frames = fmt.Sprintf("%s, %s", thousands(int64(acked)), rate(float64(acked)/d.Seconds()))
		if repeats > 0 {
			frames += fmt.Sprintf(", %d sent again", repeats)
		}
	}
	cells := []string{name, fmt.Sprintf("%.1f %% of a core", 100*cpu.Seconds()/d.Seconds()), fmt.Sprintf("%.0f MiB", w.rss()/(1<<20)),
		fmt.Sprintf("%.0f MiB", m["go_memstats_heap_alloc_bytes"]/(1<<20)),
		fmt.Sprintf("%.0f MiB in %s", m["go_memstats_stack_inuse_bytes"]/(1<<20), thousands(int64(m["go_goroutines"]))), frames}
	for _, wire := range wiresOrder {
		h, ok := wires[wire]
		switch {
		case !ok:
			cells = append(cells, "-")
		case wire == "text":
			cells = append(cells, fmt.Sprintf("%d sent", h.Sent))
		default:
			cells = append(cells, fmt.Sprintf("%.0f / %.0f ms", h.P50, h.P99))
		}
	}
	fmt.Println("| " + strings.Join(cells, " | ") + " |")
}

// inLedger says which rows of the ledger are of a wire.
var inLedger = map[string]func(r api.LedgerRow) bool{
	"MQTT":         func(r api.LedgerRow) bool { return r.Transport == "mqtt" },
	"CoAP":         func(r api.LedgerRow) bool { return r.Transport == "coap" }, // with DTLS
	"GB/T 26875.3": func(r api.LedgerRow) bool { return r.Transport == "serial" && r.Source < "p3" },
	"text":         func(r api.LedgerRow) bool { return r.Transport == "serial" && r.Source >= "p5" },
}

// verdict compares what was acknowledged, or written, on each wire with what the ledger says
// became of it. Modbus is left out: there the gateway decides what is a frame.
func (w *allWires) verdict() string {
	l, err := w.api.Ledger(context.WithoutCancel(w.b.Context()))
	if err != nil {
		w.b.Fatal(err)
	}
	w.sent["CoAP"] += w.sent["CoAP, DTLS"]
	w.sent["MQTT"] += 2 * alarms // each detector was heard before its alarm
	var parts []string
	for _, wire := range wiresOrder {
		is := inLedger[wire]
		if is == nil {
			continue
		}
		var processed, other int64
		for _, r := range l.Rows {
			if is(r) {
				processed += r.Processed
				other += r.Duplicate + r.Ignored + r.Quarantined + r.Discarded
			}
		}
		parts = append(parts, fmt.Sprintf("%s %s = %s processed", wire, thousands(int64(w.sent[wire])), thousands(processed)))
		if processed != int64(w.sent[wire]) || other != 0 { // more only where a device gave up waiting: that is said already
			w.b.Errorf("%s: %d reports, %d processed, %d ended otherwise", wire, w.sent[wire], processed, other)
		}
	}
	if !l.Balanced || l.Lost > 0 {
		w.b.Errorf("the ledger does not balance: %+v", l)
		return "**the ledger does not balance**"
	}
	return "nothing lost: " + strings.Join(parts, ", ") + "; ledger balances"
}
