package influx

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestWhatIsErasedIsGoneFromBothInfluxDBsAndTheRestStays(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		c, err := NewClient(p.Config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		if err := c.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		hour := time.Now().UTC().Truncate(time.Hour).Add(-48 * time.Hour)
		var b strings.Builder
		for i := range 5 {
			fmt.Fprintf(&b, "dwelling,point=home\\ 1,street=s opened=1 %d\n", hour.Add(time.Duration(i)*time.Minute).UnixNano())
			fmt.Fprintf(&b, "dwelling,point=home-2 opened=1 %d\n", hour.Add(time.Duration(i)*24*time.Hour/2).UnixNano())
		}
		fmt.Fprintf(&b, "door,point=home\\ 1 open=true,battery_pct=88 %d\n", hour.UnixNano())
		if err := c.send(t.Context(), b.String()); err != nil {
			t.Fatal(err)
		}
		got, err := c.Openings(t.Context(), HistoryQuery{Point: "home 1"})
		if err != nil || len(got) != 1 || got[0].Value != 5 || !got[0].At.Equal(hour) {
			t.Fatalf("openings %v, %v: want 5 in the hour %s", got, err, hour)
		}
		if had, left, err := c.Erase(t.Context(), Dwelling, "home 1", true); had != 5 || left != 5 || err != nil {
			t.Errorf("dry run: had %d, left %d, %v: want 5 and 5", had, left, err)
		}
		for _, m := range []string{Dwelling, Door, Smoke} {
			want := map[string]int64{Dwelling: 5, Door: 1}[m]
			if had, left, err := c.Erase(t.Context(), m, "home 1", false); had != want || left != 0 || err != nil {
				t.Errorf("%s: had %d, left %d, %v: want %d and 0", m, had, left, err, want)
			}
		}
		if had, _, err := c.Erase(t.Context(), Dwelling, "home-2", true); had != 5 || err != nil {
			t.Errorf("another's: %d, %v: want all 5", had, err)
		}
		if err := c.Forget(t.Context(), Dwelling, hour.Add(25*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if had, _, err := c.Erase(t.Context(), Dwelling, "home-2", true); had != 2 || err != nil {
			t.Errorf("after forgetting: %d, %v: want the newest 2", had, err)
		}
		if _, _, err := c.Erase(t.Context(), "dwelling; drop", "x", false); err == nil {
			t.Error("a measurement that is none was taken")
		}
		if had, _, err := c.Erase(t.Context(), Dwelling, "x' OR 'a'='a", false); had != 0 || err != nil {
			t.Errorf("a point of another name met %d points, %v", had, err)
		}
	})
}
