package state

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func sampleDownlink(id string, device grid.Identity, n int) grid.Downlink {
	at := t0.Add(time.Duration(n) * time.Second)
	return grid.Downlink{
		ID: id, Device: device, Order: grid.Order{Payload: &grid.PayloadOrder{Hex: "ff10ff", Port: 85}}, State: grid.DownlinkQueued,
		Created: at, Expires: at.Add(time.Hour), By: grid.Actor{Role: grid.RoleOperator, Name: "li"}, Reason: "a new interval", Mode: grid.Live,
	}
}

func TestOpenDownlinksComeInTheOrderInWhichTheyWereMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := openTest(t, path)
	first, second, third := sampleDownlink("z", "eui:01", 1), sampleDownlink("a", "eui:01", 2), sampleDownlink("m", "eui:02", 3)
	commit(t, s, &Batch{Downlinks: []grid.Downlink{third, second, first}})
	second.State, second.SentAt, second.Ref = grid.DownlinkSent, t0.Add(time.Minute), "r"
	third.State, third.EndedAt = grid.DownlinkFailed, t0.Add(time.Minute)
	commit(t, s, &Batch{Downlinks: []grid.Downlink{second, third}})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open, err := openTest(t, path).OpenDownlinks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]grid.Downlink{first, second}, open); d != "" {
		t.Errorf("open downlinks (+):\n%s", d)
	}
}

func TestDownlinksAreListedByDeviceAndStatePageByPage(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := &Batch{Downlinks: []grid.Downlink{
		sampleDownlink("1", "eui:01", 1), sampleDownlink("2", "eui:01", 2), sampleDownlink("3", "eui:02", 3), sampleDownlink("4", "eui:01", 3),
	}}
	b.Downlinks[1].State, b.Downlinks[1].EndedAt = grid.DownlinkAcknowledged, t0.Add(time.Minute)
	b.Downlinks[3].State = grid.DownlinkSent
	commit(t, s, b)
	for _, c := range []struct {
		q    Query
		want []string
	}{
		{Query{}, []string{"4", "3", "2", "1"}},
		{Query{Device: "eui:01"}, []string{"4", "2", "1"}},
		{Query{Device: "eui:01", State: "open"}, []string{"4", "1"}},
		{Query{State: "ended"}, []string{"2"}},
		{Query{State: "sent"}, []string{"4"}},
		{Query{ID: "3"}, []string{"3"}},
		{Query{Text: "interval", Since: t0.Add(2 * time.Second), Until: t0.Add(3 * time.Second)}, []string{"2"}},
		{Query{Unit: "micro-1"}, nil}, // a unit is told of tickets, not of orders
	} {
		var got []string
		c.q.Limit = 1
		for {
			page, err := s.ListDownlinks(t.Context(), c.q)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page.Items {
				got = append(got, d.ID)
			}
			if c.q.Cursor = page.Next; c.q.Cursor == "" {
				break
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%+v (+):\n%s", c.q, d)
		}
	}
	if _, err := s.Downlink(t.Context(), "5"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("unknown downlink: %v: want not_found", err)
	}
}

func TestDownlinkIsSeenWhereItsDeviceIs(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	b := &Batch{
		Points:        []grid.Point{{ID: "P1", Kind: grid.Smoke, Scope: yuyuan, Cell: yuyuanCell, Mode: grid.Live}},
		Devices:       []grid.Device{{Identity: "eui:01", Profile: "p"}},
		Installations: []grid.Installation{{Device: "eui:01", Channel: grid.MainChannel, Point: "P1", From: t0}},
	}
	commit(t, s, b)
	commit(t, s, &Batch{Downlinks: []grid.Downlink{sampleDownlink("1", "eui:01", 1), sampleDownlink("2", "eui:none", 2)}})
	for name, q := range map[string]Query{"scope": {Scope: yuyuan}, "cell": {Cell: yuyuanCell}} {
		if got, err := lists(s)["downlinks"](t.Context(), q); err != nil || !cmp.Equal(got, []string{"1"}) {
			t.Errorf("by %s: %v, %v: want that of the device there", name, got, err)
		}
	}
}
