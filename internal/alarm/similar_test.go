package alarm

import (
	"strings"
	"testing"
	"time"

	"gridgate/internal/grid"
)

func TestWhatMayBeTheSameIsOfferedWithItsReason(t *testing.T) {
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	c := Case{Ticket: "T1", Type: grid.EventManholeOpen, Point: "M1", Building: "b1", Cell: "310105006001001", Lon: 121.4, Lat: 31.22, Opened: at, Live: true}
	nowhere := Case{Ticket: "T1", Type: grid.EventManholeOpen, Cell: "310105006001001", Opened: at, Live: true}
	for _, k := range []struct {
		name   string
		c      Case
		change func(*Case)
		score  int
		why    string
	}{
		{"the same", c, func(*Case) {}, 95, "same point and same event"},
		{"the same point long ago, still open", c, func(o *Case) { o.Opened = at.Add(-90 * time.Hour) }, 95, "same point"},
		{"another event at the point", c, func(o *Case) { o.Type = grid.EventManholeTilted }, 60, "but manhole.tilted"},
		{"its building", c, func(o *Case) { o.Point = "M2" }, 85, "same building, 0s apart"},
		{"around the corner", c, func(o *Case) { o.Point, o.Building, o.Lon = "M2", "", 121.4005 }, 76, "48 m away"},
		{"100 m on", c, func(o *Case) { o.Point, o.Building, o.Lat = "M2", "", 31.22089 }, 61, "99 m away"},
		{"further than that", c, func(o *Case) { o.Point, o.Building, o.Lat = "M2", "", 31.22091 }, 0, ""},
		{"close by without a cell", c, func(o *Case) { o.Point, o.Building, o.Cell = "M2", "", "" }, 90, "0 m away"},
		{"the cell, no position known", nowhere, func(o *Case) { o.Point, o.Building = "M2", "" }, 50, "same cell"},
		{"another cell", nowhere, func(o *Case) { o.Cell, o.Building = "310105006001002", "" }, 0, ""},
		{"two hours later", nowhere, func(o *Case) { o.Opened = at.Add(2 * time.Hour) }, 50, "2h0m0s apart"},
		{"later than that", nowhere, func(o *Case) { o.Opened = at.Add(2*time.Hour + time.Second) }, 0, ""},
		{"two hours before", nowhere, func(o *Case) { o.Opened = at.Add(-2 * time.Hour) }, 50, "2h0m0s apart"},
		{"another event in the cell", nowhere, func(o *Case) { o.Type = grid.EventManholeTilted }, 0, ""},
		{"not live", c, func(o *Case) { o.Live = false }, 0, ""},
		{"itself", c, func(o *Case) { o.Ticket = "T1" }, 0, ""},
		{"two without a place", Case{Ticket: "T1", Type: grid.EventManholeOpen, Opened: at, Live: true}, func(o *Case) { *o = Case{Ticket: "T2", Type: grid.EventManholeOpen, Opened: at, Live: true} }, 0, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			o := c
			o.Ticket = "T2"
			k.change(&o)
			got := Similar(k.c, []Case{o})
			switch {
			case k.score == 0 && len(got) != 0:
				t.Errorf("offered %+v, want nothing", got)
			case k.score != 0 && (len(got) != 1 || got[0].Score != k.score || !strings.Contains(got[0].Reason, k.why)):
				t.Errorf("offered %+v, want score %d because %q", got, k.score, k.why)
			}
			if len(got) != 0 {
				if back := Similar(o, []Case{k.c}); len(back) != 1 || back[0].Score != k.score {
					t.Errorf("the other way round %+v: want the same score %d", back, k.score)
				}
			}
		})
	}
}

func TestTheMostAlikeAreOfferedFirstAndNotTooMany(t *testing.T) {
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	c := Case{Ticket: "T", Type: grid.EventManholeOpen, Point: "M", Cell: "c", Opened: at}
	var open []Case
	for i := range 30 {
		open = append(open, Case{Ticket: string(rune('a' + i)), Type: c.Type, Cell: "c", Opened: at.Add(time.Duration(i) * time.Minute)})
	}
	open = append(open, Case{Ticket: "z", Type: c.Type, Point: "M", Opened: at})
	got := Similar(c, open)
	if len(got) != maxSuggestions || got[0].Ticket != "z" || !got[1].Opened.After(got[2].Opened) {
		t.Errorf("offered %+v: want ten, the same point first, then the newest", got)
	}
}
