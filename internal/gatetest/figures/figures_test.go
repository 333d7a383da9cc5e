// Package figures measures what the gateway does on this machine and prints it as tables:
// `make bench`. It drives the real programs over real sockets with a real InfluxDB; it is
// a benchmark and no test, since how fast a machine is proves nothing about the program.
//
//	make bench                 about ten minutes
//	make bench BENCH=full      as long as the design asks for, and a load on a million devices
//	make bench ONLY=smoke      one of: start journal engine broker mosquitto smoke devices import wires
package figures

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// length of a measurement, and of a longer one where the design asks for it.
type length struct {
	usual, journal, flood time.Duration
	devices               int
	full                  bool
}

func lengths() length {
	if os.Getenv("BENCH") == "full" {
		return length{usual: 60 * time.Second, journal: 5 * time.Minute, flood: 60 * time.Second, devices: 1_000_000, full: true}
	}
	return length{usual: 20 * time.Second, journal: 20 * time.Second, flood: 20 * time.Second, devices: 1_000_000}
}

// row of the table. The verdict is what a person would say.
type row struct {
	what, wish, got string
	reached         bool
}

func (r row) String() string {
	verdict := "reached"
	if !r.reached {
		verdict = "**not reached**"
	}
	if r.wish == "" {
		verdict = ""
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", r.what, r.wish, r.got, verdict)
}

// BenchmarkFigures prints the table line by line as it is measured. An operation is the whole of it.
func BenchmarkFigures(b *testing.B) {
	l := lengths()
	figures := []struct {
		name    string
		measure func(*testing.B, length) []row
	}{
		{"start", start}, {"journal", journal}, {"engine", engine},
		{"broker", embeddedBroker}, {"mosquitto", mosquitto},
		{"smoke", smoke}, {"devices", devices}, {"import", sheets},
	}
	only := regexp.MustCompile(os.Getenv("ONLY"))
	fmt.Printf("\n%s\n\n", machine(b))
	fmt.Println("| what | to reach | measured | |")
	fmt.Println("|---|---|---|---|")
	for _, f := range figures {
		if !only.MatchString(f.name) {
			continue
		}
		b.Run(f.name, func(b *testing.B) {
			for _, r := range f.measure(b, l) {
				fmt.Println(r)
			}
		})
	}
	fmt.Println()
}

// rate is "12,345 frames/s".
func rate(perSecond float64) string { return thousands(int64(perSecond)) + " frames/s" }

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func join(parts ...string) string { return strings.Join(parts, ", ") }
