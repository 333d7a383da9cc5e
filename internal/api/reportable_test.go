package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// taker takes reports and remembers what it was told.
type taker struct {
	Filer
	filed  []grid.Filing
	joined string
	draft  grid.Filing
}

func (k *taker) Reportable(_ context.Context, point string) ([]grid.Reportable, error) {
	if point == "nowhere" {
		return nil, grid.Errorf(grid.NotFound, "point %q: not found", point)
	}
	return []grid.Reportable{{Type: grid.EventManholeOpen, Priority: 1, Lowest: 4}}, nil
}

func (k *taker) HazardKinds() []grid.HazardKind {
	return []grid.HazardKind{{Kind: "other", Questions: []grid.HazardQuestion{{ID: "present", Danger: "yes"}}}}
}

func (k *taker) HazardSteps() []grid.HazardStep {
	return []grid.HazardStep{{Verb: grid.HazardExtend, Who: []grid.Role{grid.RoleSupervisor}}}
}

func (k *taker) SimilarTo(_ context.Context, f grid.Filing) ([]grid.Suggestion, error) {
	k.draft = f
	return []grid.Suggestion{{Ticket: "T-fire", Why: "distance", Metres: 40}}, nil
}

func (k *taker) FileEvent(_ context.Context, f grid.Filing) (grid.Filed, error) {
	k.filed = append(k.filed, f)
	return grid.Filed{}, nil
}

func (k *taker) FileInto(_ context.Context, f grid.Filing, into string) (grid.Filed, error) {
	k.filed, k.joined = append(k.filed, f), into
	return grid.Filed{Ticket: grid.Ticket{ID: into}}, nil
}

func TestADeskLearnsWhatCanBeReportedAndWhatIsLikeIt(t *testing.T) {
	w := newWorld(t)
	k := &taker{}
	d := w.server.Deps
	d.Filer, d.Hazards = k, w.store
	srv := httptest.NewServer(New(d).Handler())
	defer srv.Close()
	c := &Client{URL: srv.URL, Token: admin}
	got, err := c.Reportable(t.Context(), "")
	if err != nil || len(got.Sources) != 5 || len(got.Events) != 1 || len(got.Hazards) != 1 || len(got.Steps) != 1 {
		t.Fatalf("reportable is %+v, %v", got, err)
	}
	if _, err := c.Reportable(t.Context(), "nowhere"); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("of no point: %v, want not found", err)
	}
	page, err := c.FindSimilar(t.Context(), Draft{Type: grid.EventManholeOpen, Place: Place{Position: &SeenAt{Lon: 121.4, Lat: 31.2, CRS: "WGS84"}}})
	if err != nil || len(page.Items) != 1 || page.Items[0].Metres != 40 || k.draft.Lon != 121.4 || k.draft.Type != grid.EventManholeOpen {
		t.Errorf("similar are %+v, %v to %+v: want the one, asked with its position", page.Items, err, k.draft)
	}
	if len(k.filed) != 0 {
		t.Error("asking what is similar has filed something")
	}
	n := NewEvent{Type: grid.EventManholeOpen, Into: "T-fire", NewFiling: NewFiling{Source: grid.FromHotline, External: "7", Place: Place{Place: "here"}}}
	if out, err := c.FileEvent(t.Context(), n); err != nil || out.Ticket.ID != "T-fire" || k.joined != "T-fire" || len(k.filed) != 1 {
		t.Errorf("joined %q with %+v, %v", k.joined, out.Ticket, err)
	}
}

func TestAWindowTellsWhatItAskedAndWhatWasAnswered(t *testing.T) {
	w, _ := withWindows(t)
	permit := sure(call[grid.Window](t.Context(), w.client(admin), http.MethodPost, "/api/v1/permits", nil, &content{json: NewWindow{Points: []string{"m"}, For: "1h", Holder: "city-1"}}))
	al := func(id string, at time.Duration, c *grid.Cover) grid.Alarm {
		return grid.Alarm{ID: id, Type: grid.EventManholeOpen, Point: "m", Priority: 1, Mode: grid.Live, Active: true, Raised: t0.Add(at), At: t0.Add(at), AlarmDetail: grid.AlarmDetail{Cover: c}}
	}
	w.commit(&state.Batch{Alarms: []grid.Alarm{
		al("a1", 0, &grid.Cover{Window: permit.ID, State: grid.CoverGuarded, Answer: "yes"}), al("a2", time.Minute, &grid.Cover{Window: permit.ID, State: grid.CoverAsked}),
		al("a3", 0, &grid.Cover{Window: "another", State: grid.CoverAsked}), al("a4", 0, nil),
	}})
	page, err := call[Page[AlarmView]](t.Context(), w.client(admin), http.MethodGet, "/api/v1/windows/"+permit.ID+"/alarms", nil, nil)
	if err != nil || len(page.Items) != 2 || page.Items[0].ID != "a2" || page.Items[1].Cover.Answer != "yes" {
		t.Errorf("covered are %+v, %v: want the open question, then the answered one", page.Items, err)
	}
}
