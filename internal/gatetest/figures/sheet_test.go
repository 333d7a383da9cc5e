package figures

import (
	"fmt"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

const sheetRows = 100_000

// sheets measures how long a sheet of 100,000 rows takes, through the API into a real gateway:
// new, again, with bad rows, and what smoke waits for meanwhile.
func sheets(b *testing.B, _ length) (rows []row) {
	bad := gatetest.BadCells()
	good := gatetest.Sheet(1, sheetRows, nil)
	mixed := gatetest.Sheet(1, sheetRows, bad)
	for _, format := range []string{"csv", "xlsx"} {
		b.Run(format, func(b *testing.B) {
			g := newGateway(b, "")
			g.start()
			first, took := handIn(b, g, format, good)
			rows = append(rows, row{fmt.Sprintf("%s rows as %s: handed in → all in force, each a point with its device", thousands(sheetRows), format),
				"≤ 60 s", join(took.Round(100*time.Millisecond).String(), counts(first)), took <= time.Minute && first.Added == sheetRows})
			again, took := handIn(b, g, format, good)
			rows = append(rows, row{"the same sheet again", "nothing changes", join(took.Round(100*time.Millisecond).String(), counts(again)), again.Same == sheetRows})
			wrong, took := handIn(b, g, format, mixed)
			rows = append(rows, row{fmt.Sprintf("with %d bad rows, each of another kind", len(bad)), "each is explained, nothing changes",
				join(took.Round(100*time.Millisecond).String(), counts(wrong)), wrong.Bad == len(bad) && wrong.State == grid.ImportChecked})
		})
	}
	b.Run("smoke", func(b *testing.B) {
		g, unit := detectors(b, fleet{model: "bosch/tps110", n: 100, seed: baySeed})
		done := make(chan api.ImportView)
		go func() {
			v, _ := handIn(b, g, "csv", good)
			done <- v
		}()
		res := raise(b, g, unit, 100*time.Millisecond)
		now := <-done
		rows = append(rows, row{"smoke frame published → ticket at the tier-2 unit's endpoint, during an import", "p99 ≤ 250 ms",
			join(quantiles(res), counts(now)), res.Latency.P99 <= 250 && res.Arrived == alarms})
	})
	return rows
}

func counts(v api.ImportView) string {
	return fmt.Sprintf("%s: %s added, %s same, %d bad", v.State, thousands(int64(v.Added)), thousands(int64(v.Same)), v.Bad)
}

func handIn(b *testing.B, g *gateway, format string, rows [][]string) (v api.ImportView, took time.Duration) {
	file, err := gatetest.SheetCSV(rows, true)
	if format == "xlsx" {
		file, err = gatetest.SheetXLSX(rows)
	}
	if err != nil {
		b.Error(err)
		return v, 0
	}
	began := time.Now()
	for v, err = g.api.AddImport(b.Context(), file, grid.Import{}, ""); err == nil && v.State.Busy(); v, err = g.api.ImportOf(b.Context(), v.ID) {
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		b.Error(err)
	}
	return v, time.Since(began)
}
