package api

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gridgate/internal/figures"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// tabled keeps what was asked for, and answers with one row of a dangerous name.
type tabled struct{ asked []figures.Ask }

func (x *tabled) Zone() *time.Location { return time.FixedZone("", 8*3600) }

func (x *tabled) Trend(_ context.Context, a figures.Ask) (figures.Trend, error) {
	x.asked = append(x.asked, a)
	return figures.Trend{Step: "day"}, nil
}

func (x *tabled) Load(_ context.Context, a figures.Ask) (figures.Load, error) {
	x.asked = append(x.asked, a)
	return figures.Load{Operators: 3}, nil
}

func (x *tabled) Sensors(_ context.Context, a figures.Ask) (figures.SensorHealth, error) {
	x.asked = append(x.asked, a)
	return figures.SensorHealth{Models: []figures.SensorGroup{{Profile: "=1+1"}}}, nil
}

func (x *tabled) Models(_ context.Context, a figures.Ask) (figures.Models, error) {
	x.asked = append(x.asked, a)
	return figures.Models{Items: []figures.Model{{Profile: "=1+1"}}}, nil
}

func (w *world) saved(t *testing.T, token, path string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, b
}

func TestTheDesksFiguresAreNoUnits(t *testing.T) {
	w := newWorld(t)
	x := &tabled{}
	w.server.FigureTables = x
	for _, name := range []string{"load", "sensors", "models"} {
		for _, ext := range []string{"", ".csv", ".xlsx"} {
			if res, _ := w.saved(t, "fire-token", "/kpis/"+name+ext); res.StatusCode != http.StatusForbidden {
				t.Errorf("a unit reads %s%s: %s", name, ext, res.Status)
			}
			if res, body := w.saved(t, admin, "/kpis/"+name+ext+"?period=7d&street=310105006&mode=simulated&kind=smoke"); res.StatusCode != http.StatusOK || len(body) == 0 {
				t.Errorf("the desk reads %s%s: %s", name, ext, res.Status)
			}
			a := x.asked[len(x.asked)-1]
			if a.Period != "7d" || a.Street != "310105006" || a.Mode != grid.Simulated || a.Kind != grid.Smoke {
				t.Errorf("%s%s asks for %+v", name, ext, a)
			}
		}
	}
	if len(x.asked) != 9 {
		t.Errorf("asked %d times, want 9: what is refused asks for nothing", len(x.asked))
	}
	if _, err := w.client("fire-token").KPITrend(t.Context(), KPIQuery{Unit: "city-1"}); err != nil || x.asked[9].Unit != "fire-1" {
		t.Errorf("a unit's trend is of %q, %v: want its own", x.asked[9].Unit, err)
	}
	if res, _ := w.saved(t, admin, "/kpis/load?mode=practice"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a mode that is none: %s", res.Status)
	}
}

func TestTablesOfFiguresRunNothingInASpreadsheet(t *testing.T) {
	w := newWorld(t)
	w.server.FigureTables = &tabled{}
	w.commit(&state.Batch{Hotspots: []grid.Hotspot{{ID: "h1", Place: "=1+1", Ticket: "T-fire", Listed: t0}, {ID: "h2", Place: "b", Ticket: "T-city", Listed: t0, Delisted: t0}}})
	for _, path := range []string{"/kpis/sensors.csv", "/kpis/models.csv", "/hotspots.csv"} {
		res, b := w.saved(t, admin, path)
		read := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
		read.FieldsPerRecord = -1
		lines, err := read.ReadAll()
		if err != nil || !strings.Contains(res.Header.Get("Content-Disposition"), "attachment") {
			t.Fatalf("%s: %v, %v", path, err, res.Header)
		}
		if !strings.Contains(string(b), "'=1+1") {
			t.Errorf("%s: %q", path, lines)
		}
		for _, l := range lines {
			for _, c := range l {
				if strings.HasPrefix(c, "=") {
					t.Errorf("%s: a cell runs: %q", path, c)
				}
			}
		}
	}
	if _, b := w.saved(t, admin, "/hotspots.csv?state=delisted"); strings.Contains(string(b), "1+1") || !strings.Contains(string(b), "T-city") {
		t.Errorf("delisted ones alone: %s", b)
	}
	if _, b := w.saved(t, "fire-token", "/hotspots.csv"); strings.Contains(string(b), "T-city") {
		t.Errorf("a unit reads another's hot-spot: %s", b)
	}
	if _, b := w.saved(t, admin, "/hotspots.xlsx"); !bytes.HasPrefix(b, []byte("PK")) {
		t.Error("the workbook is none")
	}
}

func TestAGatewayWithoutFigureTablesSaysSo(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client(admin).OperatorLoad(t.Context(), KPIQuery{}); grid.CodeOf(err) != grid.Unavailable {
		t.Error(err)
	}
	if res, _ := w.saved(t, admin, "/kpis/sensors.xlsx"); res.StatusCode != http.StatusServiceUnavailable {
		t.Error(res.Status)
	}
}
