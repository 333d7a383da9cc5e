package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gridgate/internal/gateway"
	"gridgate/internal/grid"
)

func TestAWatchTellsOnceRemindsAndTellsTheEnd(t *testing.T) {
	j := judge{After: 3, Calm: time.Minute, Again: 30 * time.Minute}
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	said := map[word]int{}
	hear := func(wrong string, n int) {
		for range n {
			said[j.hear(at, wrong)]++
			at = at.Add(15 * time.Second)
		}
	}
	hear("", 10)
	hear("no answer", 2) // a hiccup
	hear("", 10)
	if said[fell]+said[still]+said[over] > 0 {
		t.Fatalf("a hiccup was told: %v", said)
	}
	hear("no answer", 4*70) // 70 minutes
	if said[fell] != 1 || said[still] != 2 {
		t.Errorf("of 70 minutes: %v, want one fall and two reminders", said)
	}
	hear("", 8)
	if said[over] != 1 {
		t.Errorf("after two good minutes: %v, want one end", said)
	}
}

func TestAGatewayThatComesAndGoesWakesNobodyAnewEachTime(t *testing.T) {
	j := judge{After: 3, Calm: time.Minute, Again: 12 * time.Hour}
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	said := map[word]int{}
	for range 30 { // a minute down, two and a half up, for an hour and three quarters
		for n := range 14 {
			wrong := ""
			if n < 4 {
				wrong = "no answer"
			}
			said[j.hear(at, wrong)]++
			at = at.Add(15 * time.Second)
		}
	}
	if said[fell] > 3 {
		t.Errorf("told %d times that it fell: %v", said[fell], said)
	}
}

// The gateway is dead, the duty lead is told by a webhook.
func TestAWatchTellsUnitsByTheirConnector(t *testing.T) {
	got := make(chan string, 4)
	lead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var m struct {
			Data struct{ Title, Note string }
		}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		got <- m.Data.Title + " " + m.Data.Note
	}))
	defer lead.Close()
	a := &app{out: io.Discard, errOut: io.Discard, environ: []string{"GRIDGATE_DISPATCH_ALLOW_CIDRS=127.0.0.0/8"}}
	file := filepath.Join(t.TempDir(), "duty.yaml")
	text := "units:\n  - {id: lead, name: Duty lead, kind: fire, tier: 1, connector: webhook, url: \"" + lead.URL + "\", secret: \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &watch{app: a, send: map[string]grid.Connector{}}
	if err := w.load(file); err != nil {
		t.Fatal(err)
	}
	if err := w.tell(t.Context(), "x", "silent", "no answer"); err != nil {
		t.Fatal(err)
	}
	if said := <-got; said != "silent no answer" {
		t.Errorf("the lead was told %q", said)
	}
}

func TestCheckBeforeAStartSaysWhatAStartWillFind(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	cfg := gateway.Default()
	cfg.DataDir, cfg.Influx.Managed = t.TempDir(), false
	cfg.HTTP.Listen, cfg.Broker.Listen, cfg.CoAP.Listen = strings.TrimPrefix(taken.URL, "http://"), "127.0.0.1:0", ""
	for _, name := range []string{cfg.FirstPasswordPath(), cfg.StatePath()} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said := map[string]string{}
	for _, f := range cfg.Preflight(t.Context(), false) {
		said[f.Part] += f.String()
	}
	for part, want := range map[string]string{"ports": "http.listen " + cfg.HTTP.Listen + " cannot be listened on", "accounts": "one-time password", "backup": "no backups are made"} {
		if !strings.Contains(said[part], want) {
			t.Errorf("%s: %q, want %q in it", part, said[part], want)
		}
	}
	for _, f := range cfg.Preflight(t.Context(), true) {
		if f.Part == "ports" {
			t.Errorf("of a gateway that runs: %s", f)
		}
	}
}
