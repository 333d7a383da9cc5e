package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhatReachedInfluxDBIsCountedByTheFullestField(t *testing.T) {
	asked := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query().Get("db")
		fmt.Fprint(w, `{"results":[{"series":[
			{"name":"door","columns":["time","count_battery","count_open"],"values":[[0,70,100]]},
			{"name":"device","columns":["time","count_battery"],"values":[[0,30]]}]}]}`)
	}))
	defer server.Close()
	points, most, err := Influx{URL: server.URL}.Points(t.Context(), "rival")
	if err != nil || points != 130 || most != 100 || asked != "rival" {
		t.Errorf("%d points, %d of a measurement, of %q, %v: want 130, 100 of rival", points, most, asked, err)
	}
}

func TestAnErrorOfInfluxDBIsNoCount(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"results":[{"error":"database not found: rival"}]}`)
	}))
	defer server.Close()
	if _, _, err := (Influx{URL: server.URL}).Points(t.Context(), "rival"); err == nil || !strings.Contains(err.Error(), "database not found") {
		t.Errorf("%v: want what InfluxDB says", err)
	}
}

func TestWhatInfluxDBHasWrittenIsReadFromItsOwnFigures(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"cmdline":["influxd"],"system":{"uptime":3},"database:gridgate":{"name":"database","values":{"numSeries":7}},
			"httpd::8086":{"name":"httpd","tags":{"bind":":8086"},"values":{"pointsWrittenOK":42,"req":3}}}`)
	}))
	defer server.Close()
	if n, err := (Influx{URL: server.URL}).written(t.Context()); err != nil || n != 42 {
		t.Errorf("%d points written, %v: want 42", n, err)
	}
}

func TestAComparisonSaysWhatEachTakesAndWhatIsNotThere(t *testing.T) {
	said := SaidOf([]Compared{{Name: "gridgate", CPUEach: 18, Lost: 0}, {Name: "telegraf", CPUEach: 45, Lost: 12}})
	for _, want := range []string{"gridgate takes 18.0 µs", "telegraf 45.0", "40 %", "0 and 12 are not in InfluxDB"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q has no %q", said, want)
		}
	}
}
