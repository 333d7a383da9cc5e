package influx

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestAFieldThatIsThereInAnotherTypeIsFoundByAnInspection(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		c, err := NewClient(p.Config)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		now, then := time.Now().UnixNano(), time.Now().AddDate(0, -1, 0).UnixNano()
		for _, line := range []string{
			fmt.Sprintf("door,point=a open=true %d\n", now), fmt.Sprintf("manhole,point=a open=1i,other=1i %d\n", now),
			fmt.Sprintf("smoke,point=a battery_pct=1i %d\n", now), fmt.Sprintf("smoke,point=a battery_pct=1 %d\n", then),
		} {
			if err := c.send(t.Context(), line); err != nil {
				t.Fatal(err)
			}
		}
		i := c.Inspect(t.Context())
		if len(i.Problems) != 1 || !strings.Contains(i.Problems[0], `field "open" of measurement "manhole" as integer, and gridgate writes boolean`) {
			t.Errorf("problems are %q: want that manhole.open is an integer, and no word of a field that is not ours", i.Problems)
		}
		if len(i.Warnings) != 1 || !strings.Contains(i.Warnings[0], `field "battery_pct" of measurement "smoke" as float and integer`) {
			t.Errorf("warnings are %q: want that battery_pct is an integer for a part of the time", i.Warnings)
		}
	})
}

func TestTheTypesOfFieldsAreThoseThatLinesAreWrittenWith(t *testing.T) {
	var l Line
	for s := grid.NoSignal + 1; s < grid.SignalCount; s++ {
		l.Reset(Smoke, 1)
		l.Signal(s, 1)
		measurement := grid.Signals[s].Measurement
		if measurement == "" {
			measurement = Door
		}
		written := [...]string{float: floatType, boolean: booleanType, text: textType}[l.fields[0].kind]
		if got := typeOf(measurement, l.fields[0].key); got != written {
			t.Errorf("%s: the inspection wants %q, and %q is written", s, got, written)
		}
	}
}
