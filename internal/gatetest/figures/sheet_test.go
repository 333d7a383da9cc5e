package figures

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const sheetRows = 100_000

// sheets measures what a sheet of 100,000 rows takes, through the API into a real gateway: with
// bad rows, new, again, and what smoke waits for meanwhile. It goes by processor time beside
// wall time: the machine may be another's too.
func sheets(b *testing.B, _ length) (rows []row) {
	bad := gatetest.BadCells()
	good := gatetest.Sheet(1, sheetRows, nil)
	mixed := gatetest.Sheet(1, sheetRows, bad)
	for _, format := range []string{"CSV in GB18030", "XLSX"} {
		b.Run(format, func(b *testing.B) {
			g := newGateway(b, "")
			g.start()
			empty := g.rss()
			wrong := handIn(b, g, sheetFile(b, format, mixed))
			rows = append(rows, row{fmt.Sprintf("%s: %s rows of which %d are bad, each in another way", format, thousands(sheetRows), len(bad)), "each is explained, nothing changes",
				join(wrong.String(), fmt.Sprintf("%d explained in both languages", explained(wrong.ImportView, bad))),
				explained(wrong.ImportView, bad) == len(bad) && wrong.Bad == len(bad) && wrong.State == grid.ImportChecked})
			first := handIn(b, g, sheetFile(b, format, good))
			rows = append(rows, row{"the good rows: handed in → all in force, each a point with its device", "≤ 60 s of time and of processor time",
				join(first.String(), fmt.Sprintf("checked %s rows/s, applied %s rows/s, longest engine turn %.0f ms, %.0f MB resident at most (%.0f before)",
					thousands(int64(sheetRows/first.check.Seconds())), thousands(int64(sheetRows/first.apply.Seconds())), 1000*g.metrics()["gridgate_engine_longest_batch_seconds"], g.peak()/1e6, empty/1e6)),
				first.wall <= time.Minute && first.cpu <= time.Minute && first.Added == sheetRows})
			again := handIn(b, g, sheetFile(b, format, good))
			rows = append(rows, row{"the same sheet again", "nothing changes", again.String(), again.Same == sheetRows && again.State == grid.ImportApplied})
		})
	}
	b.Run("smoke", func(b *testing.B) {
		g, unit := detectors(b, fleet{model: "bosch/tps110", n: 100, seed: baySeed})
		file := sheetFile(b, "CSV in GB18030", good)
		done := make(chan handedIn)
		go func() { done <- handIn(b, g, file) }()
		res := raise(b, g, unit, 100*time.Millisecond)
		meanwhile := "the import was still going on"
		if waiting := len(done) == 0; !waiting {
			meanwhile = "the import had ended before"
		}
		now := <-done
		rows = append(rows, row{"smoke frame published → ticket at the tier-2 unit's endpoint, during an import", "p99 ≤ 250 ms",
			join(quantiles(res), meanwhile, now.String()), res.Latency.P99 <= 250 && res.Arrived == alarms})
	})
	return rows
}

// handedIn is an import and what it took.
type handedIn struct {
	api.ImportView
	wall, cpu    time.Duration
	check, apply time.Duration // apply is the rest
}

func (h handedIn) String() string {
	return fmt.Sprintf("%.1f s, %.1f s of processor time, %s: %s added, %s same, %d bad", h.wall.Seconds(), h.cpu.Seconds(), h.State, thousands(int64(h.Added)), thousands(int64(h.Same)), h.Bad)
}

// explained counts the bad rows whose column is named with a sentence in both languages.
func explained(v api.ImportView, bad []gatetest.BadCell) (n int) {
	for i, b := range bad {
		row := sheetRows*(i+1)/(len(bad)+1) + 2 // the header is row 1
		for _, p := range v.Problems {
			if p.Row == row && p.Column == b.Column && p.Problem.ZH != "" && p.Problem.EN != "" {
				n++
				break
			}
		}
	}
	return n
}

func sheetFile(b *testing.B, format string, rows [][]string) []byte {
	write := gatetest.SheetXLSX
	if strings.HasPrefix(format, "CSV") {
		write = func(rows [][]string) ([]byte, error) { return gatetest.SheetCSV(rows, true) }
	}
	file, err := write(rows)
	if err != nil {
		b.Fatal(err)
	}
	return file
}

func handIn(b *testing.B, g *gateway, file []byte) (h handedIn) {
	var err error
	began, cpu := time.Now(), g.cpu()
	h.ImportView, err = g.api.AddImport(b.Context(), file, grid.Import{}, "")
	for err == nil && h.State.Busy() {
		if h.State == grid.ImportChecking {
			h.check = time.Since(began)
		}
		time.Sleep(50 * time.Millisecond)
		h.ImportView, err = g.api.ImportOf(b.Context(), h.ID)
	}
	if err != nil {
		b.Error(err)
	}
	h.wall, h.cpu = time.Since(began), g.cpu()-cpu
	h.apply = h.wall - h.check
	return h
}
