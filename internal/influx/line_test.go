package influx

import (
	"math"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestLineIsWrittenAsInfluxDBReadsIt(t *testing.T) {
	const at = 1_700_000_000_000_000_000
	for name, tc := range map[string]struct {
		line func(l *Line)
		want string
	}{
		"conditions and numbers": {
			func(l *Line) {
				l.Point, l.Cell, l.Street = "d-1", "310105011003001", "310105011"
				l.Signal(grid.DoorOpen, 1)
				l.Signal(grid.BatteryLevel, 87)
				l.Float("snr_db", -7.25)
			},
			"door,cell=310105011003001,point=d-1,street=310105011 open=true,battery_pct=87,snr_db=-7.25 1700000000000000000\n",
		},
		"tags in key order, empty ones left out": {
			func(l *Line) {
				l.Point, l.Type, l.Priority = "d-1", "door.forced", "P2"
				l.Bool("active", false)
			},
			"door,point=d-1,priority=P2,type=door.forced active=false 1700000000000000000\n",
		},
		"commas, spaces, equals signs, Chinese": {
			func(l *Line) {
				l.Point = `愚园路 1088弄,3=A "东"\b`
				l.Text("detail", `a "quoted" \ word, 门开`+"\nnext")
			},
			`door,point=愚园路\ 1088弄\,3\=A\ "东"\b detail="a \"quoted\" \\ word, 门开 next" 1700000000000000000` + "\n",
		},
		"extreme numbers": {
			func(l *Line) {
				l.Point = "d-1"
				l.Float("a", math.MaxFloat64)
				l.Float("b", math.SmallestNonzeroFloat64)
				l.Float("c", math.Copysign(0, -1))
				l.Float("d", -1e15)
				l.Float("e", 0.1)
			},
			"door,point=d-1 a=1.7976931348623157e+308,b=5e-324,c=-0,d=-1e+15,e=0.1 1700000000000000000\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var l Line
			l.Reset(Door, at)
			tc.line(&l)
			got, err := AppendLine([]byte("before\n"), &l)
			if err != nil || string(got) != "before\n"+tc.want {
				t.Errorf("got %q, %v\nwant %q after what was there", got, err, tc.want)
			}
		})
	}
}

func TestLineThatCannotBeStoredIsRefusedWhole(t *testing.T) {
	for name, line := range map[string]func(l *Line){
		"NaN":                         func(l *Line) { l.Float("a", math.NaN()) },
		"infinity":                    func(l *Line) { l.Float("a", math.Inf(-1)) },
		"NaN after a good field":      func(l *Line) { l.Bool("open", true); l.Float("a", math.NaN()) },
		"no field":                    func(l *Line) {},
		"field that is no word":       func(l *Line) { l.Float("tilt deg", 1) },
		"empty field name":            func(l *Line) { l.Float("", 1) },
		"measurement that is no word": func(l *Line) { l.Bool("open", true); l.Measurement = "#door" },
		"tag that ends in backslash":  func(l *Line) { l.Bool("open", true); l.Point = `C:\` },
		"tag with backslash, space":   func(l *Line) { l.Bool("open", true); l.Point = `a\ b` },
		"tag with newline":            func(l *Line) { l.Bool("open", true); l.Cell = "a\nb" },
		"tag that is not UTF-8":       func(l *Line) { l.Bool("open", true); l.Street = "\xb3\xa4" },
		"text that is not UTF-8":      func(l *Line) { l.Text("detail", "\xb3\xa4") },
		"time before 1970":            func(l *Line) { l.Bool("open", true); l.Time = Stamp(time.Time{}, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			var l Line
			l.Reset(Door, 1)
			l.Point = "d-1"
			line(&l)
			got, err := AppendLine([]byte("before\n"), &l)
			if grid.CodeOf(err) != grid.Invalid || string(got) != "before\n" {
				t.Errorf("got %q, %v: want what was there and an invalid error", got, err)
			}
		})
	}
}

func TestStampTellsFramesOfOneMicrosecondApart(t *testing.T) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 123_456_789, time.FixedZone("CST", 8*3600))
	if got, want := Stamp(at, 41_007), at.UnixNano()/1000*1000+7; got != want {
		t.Errorf("stamp is %d: want %d", got, want)
	}
	seen := map[int64]bool{}
	for seq := range uint64(1000) {
		seen[Stamp(at, 5_000+seq)] = true
	}
	if len(seen) != 1000 {
		t.Errorf("1000 frames in a row got %d stamps", len(seen))
	}
}

func TestLineIsEncodedWithoutAllocation(t *testing.T) {
	var l Line
	buf := make([]byte, 0, 4096)
	n := testing.AllocsPerRun(100, func() {
		fillLine(&l, 1)
		if _, err := AppendLine(buf, &l); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

// fillLine makes a line as the engine does for a parking frame.
func fillLine(l *Line, seq uint64) {
	l.Reset(Parking, Stamp(time.Unix(1_700_000_000, 0).Add(time.Duration(seq)*time.Millisecond), seq))
	l.Point, l.Cell, l.Street = pointName(seq), "310105011003001", "310105011"
	l.Signal(grid.ParkingOccupied, float64(seq%2))
	l.Signal(grid.BatteryLevel, float64(50+seq%50))
	l.Signal(grid.RSSI, -97.5)
	l.Signal(grid.SNR, 7.25)
}

var pointNames = func() (names [256]string) {
	for i := range names {
		names[i] = "bay-" + string(rune('a'+i%16)) + string(rune('a'+i/16))
	}
	return names
}()

func pointName(seq uint64) string { return pointNames[seq%uint64(len(pointNames))] }
