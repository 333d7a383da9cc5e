package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gridgate/internal/figures"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// boards keeps what was asked for.
func boards(w *world) *[]figures.Ask {
	var asked []figures.Ask
	w.server.Figures = func(_ context.Context, a figures.Ask) (figures.Board, error) {
		asked = append(asked, a)
		half := 0.5
		return figures.Board{Period: figures.Period{Name: "2026-11"}, Whole: figures.Group{Figures: []figures.Figure{{Key: "closing", ZH: "结案率", Value: &half}}}}, nil
	}
	return &asked
}

func TestTheBoardIsAskedForAsTheQuerySays(t *testing.T) {
	w := newWorld(t)
	asked := boards(w)
	q := KPIQuery{Period: "week", At: t0, By: "unit", Compare: true, District: "310105", Street: "310105001", Community: "310105001001", Compound: "c", Cell: "x", Unit: "u", Kind: "smoke"}
	b, err := w.client(admin).KPIs(t.Context(), q)
	if err != nil || len(b.Whole.Figures) != 1 || *b.Whole.Figures[0].Value != 0.5 {
		t.Fatalf("%+v, %v", b, err)
	}
	want := figures.Ask{Period: "week", At: t0, By: "unit", Compare: true, Unit: "u", Kind: grid.Smoke, Cell: "x",
		Scope: grid.Scope{District: "310105", Street: "310105001", Community: "310105001001", Compound: "c"}}
	if got := (*asked)[0]; !got.At.Equal(want.At) {
		t.Errorf("at is %s", got.At)
	} else if got.At = want.At; got != want {
		t.Errorf("asked for %+v, want %+v", got, want)
	}
	if _, err := w.client(admin).KPIs(t.Context(), KPIQuery{Since: t0, Until: t0.Add(time.Hour)}); err != nil || !(*asked)[1].Since.Equal(t0) || !(*asked)[1].Until.Equal(t0.Add(time.Hour)) {
		t.Errorf("asked for %+v, %v", (*asked)[1], err)
	}
	for _, bad := range []KPIQuery{{Period: "fortnight"}, {By: "colour"}, {Kind: "dog"}} {
		if _, err := w.client(admin).KPIs(t.Context(), bad); grid.CodeOf(err) != grid.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestAUnitGetsTheFiguresOfItsOwnTickets(t *testing.T) {
	w := newWorld(t)
	asked := boards(w)
	c := w.client("fire-token")
	for _, ext := range []string{"", "csv", "xlsx"} {
		var err error
		if ext == "" {
			_, err = c.KPIs(t.Context(), KPIQuery{Unit: "city-1"})
		} else {
			_, err = c.KPIFile(t.Context(), KPIQuery{Unit: "city-1"}, ext)
		}
		if a := (*asked)[len(*asked)-1]; err != nil || a.Unit != "fire-1" {
			t.Errorf("%q: the board of unit %q, %v", ext, a.Unit, err)
		}
	}
	w.commit(&state.Batch{Hotspots: []grid.Hotspot{{ID: "h1", Place: "a", Ticket: "T-fire", Listed: t0}, {ID: "h2", Place: "b", Ticket: "T-city", Listed: t0, Delisted: t0}}})
	page, err := List[grid.Hotspot](t.Context(), c, "hotspots", Query{})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != "h1" {
		t.Errorf("a unit's hot-spots: %+v, %v", page.Items, err)
	}
	page, err = List[grid.Hotspot](t.Context(), w.client(admin), "hotspots", Query{State: "delisted"})
	if err != nil || len(page.Items) != 1 || page.Items[0].ID != "h2" {
		t.Errorf("delisted ones: %+v, %v", page.Items, err)
	}
	if _, err := w.client("nobody").KPIs(t.Context(), KPIQuery{}); grid.CodeOf(err) != grid.Unauthorized {
		t.Errorf("a stranger: %v", err)
	}
}

func TestFiguresComeAsFilesToBeSaved(t *testing.T) {
	w := newWorld(t)
	boards(w)
	for ext, want := range map[string]struct{ typ, begins string }{
		"csv":  {"text/csv; charset=utf-8", "\xef\xbb\xbf周期"},
		"xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v1/kpis."+ext, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+admin)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != want.typ || !bytes.HasPrefix(b, []byte(want.begins)) ||
			!strings.Contains(res.Header.Get("Content-Disposition"), `"kpis-2026-11.`+ext+`"`) {
			t.Errorf("%s: %v, %s, %v, %.20q", ext, err, res.Status, res.Header, b)
		}
	}
}

func TestAGatewayWithoutFiguresSaysSo(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client(admin).KPIs(t.Context(), KPIQuery{}); grid.CodeOf(err) != grid.Unavailable {
		t.Error(err)
	}
}
