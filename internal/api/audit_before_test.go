package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gridgate/internal/audit"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// goneContact is one contact that can be erased.
type goneContact struct{ oneContact }

func (g *goneContact) EraseContact(_ context.Context, id string, _ grid.Actor, _ string) (ContactView, error) {
	return ContactView{Contact: grid.Contact{ID: id, Erased: t0}}, nil
}

func TestWhatWasBeforeStandsInTheAuditForContactsWindowsAndUnits(t *testing.T) {
	w, h := newAudited(t)
	w.server.People = &goneContact{}
	w.commit(&state.Batch{
		Windows: []grid.Window{{ID: "W1", Kind: grid.WindowMaintenance, Holder: "crew of before", From: t0, To: t0.Add(time.Hour)}},
		Units:   []grid.Unit{{ID: "u1", Kind: grid.FireUnit, Mode: grid.Live, Phone: "119-before", Secret: "whsec_before", URL: "https://u.example/hook/key-before"}},
	})
	for i, c := range []struct{ method, path, body, before, after string }{
		{"DELETE", "/contacts/c1", `{"reason":"asked"}`, `"id":"c1"`, `"erased"`},
		{"POST", "/contacts", `{"id":"c1","of":"point:p1","role":"occupant","channel":"voice","number":"00000000018"}`, `"id":"c1"`, `"id":"c1"`},
		{"POST", "/windows/W1/end", `{"reason":"over"}`, "crew of before", ""},
		{"PUT", "/registry", `{"units":[{"id":"u1","kind":"fire","mode":"live","phone":"119-after","url":"https://u.example/hook/key-after"}]}`, "119-before", "119-after"},
	} {
		if got := w.ask(admin, c.method, "/api/v1"+c.path, c.body); got == 404 || got == 405 || got == 422 {
			t.Errorf("%s was answered %d", c.path, got)
		}
		e := h.last(t, i+1)
		if !strings.Contains(string(e.Before), c.before) || !strings.Contains(string(e.After), c.after) {
			t.Errorf("%s: before %s, after %s (%s): want %q and %q", c.path, e.Before, e.After, e.Code, c.before, c.after)
		}
		for _, secret := range []string{"whsec_before", "key-before", "key-after", "sealed bytes", "00000000018"} {
			if all := string(e.Before) + string(e.After) + string(e.Asked); strings.Contains(all, secret) {
				t.Errorf("%s: %s stands in the audit: %s", c.path, secret, all)
			}
		}
	}
}

func TestALookAtACaseOrAtAFrameOfAHomeStandsInTheAudit(t *testing.T) {
	w, h := newAudited(t)
	w.commit(&state.Batch{
		Points:        []grid.Point{{ID: "home", Privacy: grid.Dwelling, Mode: grid.Live}},
		Installations: []grid.Installation{{Device: "modbus:a/1", Channel: "*", From: t0, Point: "home"}},
		Quarantine:    []grid.QuarantinedFrame{{ID: "Q1", Frame: grid.Frame{Pos: grid.Pos{Epoch: 1, Seq: 9}, Identity: "modbus:a/1", Received: t0, Raw: []byte{1}}, Reason: "decode", At: t0, State: "waiting"}},
	})
	looks := 0
	for _, private := range []bool{false, true} {
		w.server.Private = func(p *grid.Point) bool { return private && (p.ID == "home" || p.ID == "p1") }
		for path, of := range map[string]string{"/tickets/T-fire/explain": "point=p1", "/quarantine": "point=home"} {
			if got := w.ask(admin, "GET", "/api/v1"+path, ""); got != 200 {
				t.Fatalf("%s was answered %d", path, got)
			}
			if !private {
				h.last(t, 0)
				continue
			}
			looks++
			if e := h.last(t, looks); !strings.Contains(e.Object, of) || len(e.After) > 0 {
				t.Errorf("%s: %+v: want the look at %s, and not what was seen", path, e, of)
			}
		}
	}
}

// What a unit's system does by a face of its own stands in the audit with who and from where; what
// it asks does not.
func TestADeedByAFaceStandsInTheAudit(t *testing.T) {
	h := &heard{}
	srv := httptest.NewServer((&Server{Deps: Deps{Audit: h, Now: time.Now, Who: func(_ context.Context, token string) (grid.Actor, error) {
		if token != "good" {
			return grid.Actor{}, grid.Errorf(grid.Unauthorized, "whose token")
		}
		return grid.Actor{Role: grid.RoleUnit, Name: "crew", Unit: "crew"}, nil
	}}}).face(Face{Path: "/face/", Serve: func(w http.ResponseWriter, r *http.Request, _ grid.Actor) {
		if strings.HasSuffix(r.URL.Path, "bad") {
			http.Error(w, "no", http.StatusConflict)
		}
		io.WriteString(w, "ok")
	}}))
	t.Cleanup(srv.Close)
	for i, c := range []struct {
		method, path, token string
		want                int // entries after it
		outcome             audit.Outcome
	}{
		{"GET", "/face/feed", "good", 0, ""}, {"POST", "/face/answer?api_key=hidden", "good", 1, audit.Done},
		{"POST", "/face/bad", "good", 2, audit.Refused}, {"POST", "/face/answer", "wrong", 3, audit.Refused},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, srv.URL+c.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		e := h.last(t, c.want)
		if e.Outcome != c.outcome || strings.Contains(e.Object, "hidden") || c.token == "good" && c.want > 0 && (e.Unit != "crew" || e.From != "127.0.0.1") {
			t.Errorf("%d: %+v", i, e)
		}
	}
}
