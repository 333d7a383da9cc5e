package gatetest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

const reportUnits = `
units:
  - {id: estate, name: estate, kind: property, tier: 2, district: "310105", mode: simulated, connector: inbox, token: estate-token-0123456789}
  - {id: crew, name: crew, kind: maintenance, tier: 2, district: "310105", mode: simulated, connector: inbox, token: crew-token-0123456789abc}
`

// A hazard is seen and moved by the unit that rectifies it alone, photos of its ticket stand
// behind it, and it is closed by somebody else's re-check, over a kill in between.
func TestAHazardIsRectifiedByItsUnitAndClosedByAnother(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	g.put(t, reportUnits)
	ctx := t.Context()
	estate, crew := &api.Client{URL: g.api.URL, Token: "estate-token-0123456789"}, &api.Client{URL: g.api.URL, Token: "crew-token-0123456789abc"}
	found := func(kind, number string) grid.Hazard {
		out, err := g.api.FileHazard(ctx, api.NewHazard{Kind: kind, NewFiling: api.NewFiling{
			Source: grid.FromPatrol, External: number, Mode: grid.Simulated, Place: api.Place{Cell: "310105006001001", Place: "No. 7"}, Text: "locked, call 13800138000",
		}})
		must(t, err)
		return out.Hazard
	}
	h, other := found("exit_blocked", "p-1"), found("other", "p-2")
	if h.Unit != "estate" || h.State != grid.HazardNotified || strings.Contains(h.Text, "138") {
		t.Fatalf("hazard is %+v: want it notified to the estate, without a number", h)
	}
	if page, err := api.List[grid.Hazard](ctx, crew, "hazards", api.Query{}); err != nil || len(page.Items) != 0 {
		t.Errorf("another unit lists %+v (%v)", page.Items, err)
	}
	if page, err := api.List[grid.Hazard](ctx, estate, "hazards", api.Query{Kind: "exit_blocked"}); err != nil || len(page.Items) != 1 {
		t.Errorf("its unit lists %+v (%v)", page.Items, err)
	}
	if _, err := crew.Hazard(ctx, h.ID); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("another unit reads it: %v", err)
	}
	if _, err := crew.MoveHazard(ctx, h.ID, api.HazardMove{Verb: grid.HazardStart}, ""); grid.CodeOf(err) != grid.NotFound {
		t.Errorf("another unit moves it: %v", err)
	}
	if _, err := estate.FileEvent(ctx, api.NewEvent{Type: grid.EventManholeOpen}); grid.CodeOf(err) != grid.Forbidden {
		t.Errorf("a unit files by the desk's door: %v", err)
	}

	photo, err := estate.AddEvidence(ctx, h.Ticket, photograph(t), "after", "cleared")
	must(t, err)
	if _, err := g.api.MoveHazard(ctx, other.ID, api.HazardMove{Verb: grid.HazardPhoto, After: []string{photo.ID}}, ""); err == nil || !strings.Contains(err.Error(), "want one of "+other.Ticket) {
		t.Errorf("a photo of another ticket: %v", err)
	}
	_, err = estate.MoveHazard(ctx, h.ID, api.HazardMove{Verb: grid.HazardRectify, After: []string{photo.ID}}, "k1")
	must(t, err)
	g.Kill()
	g.start(t)
	again, err := estate.MoveHazard(ctx, h.ID, api.HazardMove{Verb: grid.HazardRectify, After: []string{photo.ID}}, "k1")
	must(t, err)
	if again.State != grid.HazardRectified || len(again.After) != 1 {
		t.Errorf("after the kill it is %+v", again)
	}
	passed, err := g.api.MoveHazard(ctx, h.ID, api.HazardMove{Verb: grid.HazardPass, Person: "lin", Reason: "free", Answers: []api.Answer{
		{Question: "free", Answer: "yes"}, {Question: "locked", Answer: "no"}, {Question: "lights", Answer: "yes"},
	}}, "")
	must(t, err)
	if passed.State != grid.HazardClosed || passed.Outcome != "rectified" {
		t.Errorf("after the re-check it is %s %s", passed.State, passed.Outcome)
	}
	if tk, err := g.api.Ticket(ctx, h.Ticket); err != nil || tk.State != grid.TicketClosed {
		t.Errorf("its ticket is %s (%v)", tk.State, err)
	}
}

// What the API has no place for is refused, not dropped: a reporter's number is never sent in vain.
func TestAReporterHasNoPlaceInAReport(t *testing.T) {
	g := newGateway(t)
	g.start(t)
	for body, want := range map[string]string{
		`{"type": "manhole.open", "source": "hotline", "external": "1", "place": "x", "phone": "13800138000"}`:                                 "phone",
		`{"type": "manhole.open", "source": "hotline", "external": "1", "position": {"lon": 121, "lat": 31, "crs": "GPS"}}`:                    "want WGS84",
		`{"type": "manhole.open", "source": "hotline", "external": "1", "position": {"lon": 121, "lat": 31}}`:                                  "crs",
		`{"type": "manhole.open", "source": "hotline", "external": "1", "place": "x", "priority": "urgent"}`:                                   "want P1 to P4",
		`{"type": "smoke.alarm", "source": "hotline", "external": "1", "place": "x", "priority": "P3"}`:                                        "want P1 to P1",
		`{"type": "hazard.other", "source": "hotline", "external": "1", "place": "x"}`:                                                         "want it filed as a hazard",
		`{"type": "manhole.open", "source": "press", "external": "1", "place": "x"}`:                                                           "want hotline, patrol",
		`{"type": "manhole.open", "source": "hotline", "external": "1", "place": "x", "position": {"lon": 0, "lat": 0, "crs": "WGS84"}}`:       "or no position",
		`{"type": "manhole.open", "source": "hotline", "external": "1", "place": "x", "cell": "310105006001001", "mode": "real"}`:              "want live, test, exercise",
		`{"type": "manhole.open", "source": "hotline", "external": "1", "text": "` + strings.Repeat("x", 4001) + `", "place": "a long story"}`: "4000",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.api.URL+"/api/v1/events", strings.NewReader(body))
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+g.api.Token)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		said, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(string(said), want) {
			t.Errorf("%.120s: %s %s, want 422 and %q", body, res.Status, said, want)
		}
	}
	if found := all[grid.Ticket](t, g, "tickets", api.Query{}); len(found) != 0 {
		t.Errorf("%d tickets of what was refused", len(found))
	}
}
