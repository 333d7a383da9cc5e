package dispatch_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gridgate/configs"
	"gridgate/internal/dispatch"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// delivered is a delivery of a smoke alarm with a whole body.
func delivered(id, typ string, change ...func(*dispatch.Message)) grid.Delivery {
	m := message()
	m.Ticket.Title = "烟感报警 / Smoke alarm"
	m.Ticket.Cell, m.Ticket.Community = "310105006001001", "310105006001"
	m.Point.Building, m.Point.Floor, m.Point.Room = "12号楼", "3", "301"
	m.Ticket.Place = "天山路 100 号, 12号楼, 3, 301"
	m.Link = "https://gridgate.example/tickets/01T"
	m.Delivery = grid.Delivery{ID: id, N: 1, Ticket: "01T", Assignment: "01T.1", Unit: "fire-1", Type: typ, Priority: 1, Mode: grid.Simulated,
		State: grid.DeliveryPending, Created: m.Delivery.Created}
	for _, f := range change {
		f(&m)
	}
	d := m.Delivery
	d.Body = dispatch.Body(m)
	return d
}

func capTable(t *testing.T) *dispatch.CAPTable {
	t.Helper()
	b, err := configs.FS.ReadFile("cap.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table, err := dispatch.ParseCAPTable("cap.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func alertOf(t *testing.T, d grid.Delivery, earlier []grid.Delivery) []byte {
	t.Helper()
	raw, err := dispatch.Alert(d, earlier, capTable(t))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// reach finds the one unit there is.
func reach(u grid.Unit) dispatch.Reach {
	u.ID, u.Mode = "fire-1", grid.Simulated
	return dispatch.Reach{Allow: loopback, Unit: func(_ context.Context, id string) (grid.Unit, error) {
		one := u
		one.ID = id
		return one, nil
	}}
}

func capTo(t *testing.T, u grid.Unit, published ...grid.Delivery) *dispatch.CAP {
	t.Helper()
	c := dispatch.NewCAP(dispatch.CAPConfig{
		Reach: reach(u), Table: capTable(t),
		Earlier: func(_ context.Context, d grid.Delivery) (out []grid.Delivery, _ error) {
			for _, p := range published {
				if p.Ticket == d.Ticket && p.Unit == d.Unit && p.N < d.N {
					out = append(out, p)
				}
			}
			return out, nil
		},
		Delivery: func(_ context.Context, id string) (grid.Delivery, error) {
			for _, p := range published {
				if p.ID == id {
					return p, nil
				}
			}
			return grid.Delivery{}, grid.Errorf(grid.NotFound, "no such delivery")
		},
		Recent: func(_ context.Context, unit string) (out []grid.Delivery, _ error) {
			for _, p := range slices.Backward(published) {
				if unit == "" || p.Unit == unit {
					out = append(out, p)
				}
			}
			return out, nil
		},
	})
	t.Cleanup(c.Close)
	return c
}

func TestCAPKeepsThePromiseOfAConnector(t *testing.T) {
	gatetest.TestConnector(t, func(t *testing.T) gatetest.ConnectorRig {
		var mu sync.Mutex
		var got []string
		var refuse, hang atomic.Bool
		done := make(chan struct{})
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			switch {
			case hang.Load():
				<-done
			case refuse.Load():
				w.WriteHeader(http.StatusBadGateway)
			default:
				root := validCAP(t, body)
				mu.Lock()
				defer mu.Unlock()
				if id := root.text("identifier"); !slices.Contains(got, id) {
					got = append(got, id)
				}
			}
		})
		t.Cleanup(func() { close(done) })
		return gatetest.ConnectorRig{
			Connector: capTo(t, grid.Unit{URL: s.URL, Secret: secretA}), Unit: "fire-1",
			Received: func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) },
			Refuse:   func() { refuse.Store(true) },
			Hang:     func() { hang.Store(true) },
		}
	})
}

func TestCAPAlertSaysWhatTheTicketSays(t *testing.T) {
	root := validCAP(t, alertOf(t, delivered("D1", "ticket.opened"), nil))
	for path, want := range map[string]string{
		"identifier": "D1", "sender": "gridgate", "sent": "2026-03-01T08:30:00+08:00", "status": "Test", "msgType": "Alert", "scope": "Restricted",
		"incidents": "01T", "references": "", "info/language": "zh-CN|en", "info/event": "烟感报警|Smoke alarm", "info/category": "Fire|Safety|Fire|Safety",
		"info/urgency": "Immediate|Immediate", "info/certainty": "Likely|Likely", "info/area/circle": "31.210000,121.400000 0.05|31.210000,121.400000 0.05",
		"info/web": "https://gridgate.example/tickets/01T|https://gridgate.example/tickets/01T",
	} {
		if got := root.text(strings.Split(path, "/")...); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if codes := root.all("info", "area", "geocode", "value"); !slices.Contains(codes, "310105006001001") {
		t.Errorf("geocodes are %v, want the cell's among them", codes)
	}
}

func TestCAPStatusIsActualForLiveWorkAlone(t *testing.T) {
	for mode, want := range map[grid.Mode]string{grid.Live: "Actual", grid.Test: "Test", grid.Simulated: "Test", grid.Exercise: "Exercise"} {
		root := validCAP(t, alertOf(t, delivered("D1", "ticket.opened", func(m *dispatch.Message) { m.Delivery.Mode = mode }), nil))
		if got := root.text("status"); got != want {
			t.Errorf("status of %s is %s, want %s", mode, got, want)
		}
		if (root.text("note") == "") != (mode == grid.Live) {
			t.Errorf("note of %s is %q", mode, root.text("note"))
		}
	}
}

func TestCAPUpdatesReferToAllThatWentBefore(t *testing.T) {
	opened := delivered("D1", "ticket.opened")
	again := delivered("D2", "ticket.rework", func(m *dispatch.Message) { m.Delivery.Created = m.Delivery.Created.Add(time.Hour) })
	refs := "gridgate,D1,2026-03-01T08:30:00+08:00 gridgate,D2,2026-03-01T09:30:00+08:00"
	for typ, want := range map[string]string{
		"ticket.updated": "Update", "ticket.rework": "Update", "ticket.escalated": "Update", "ticket.closed": "Update",
		"ticket.cancelled": "Cancel", "ticket.stand_down": "Cancel",
	} {
		root := validCAP(t, alertOf(t, delivered("D3", typ), []grid.Delivery{opened, again}))
		if root.text("msgType") != want || root.text("references") != refs {
			t.Errorf("%s: %s that refers to %q, want %s and %q", typ, root.text("msgType"), root.text("references"), want, refs)
		}
		over := slices.Contains(root.all("info", "responseType"), "AllClear")
		if ends := typ == "ticket.closed" || want == "Cancel"; over != ends {
			t.Errorf("%s: all clear is %v, want %v", typ, over, ends)
		}
		first := validCAP(t, alertOf(t, delivered("D3", typ), nil))
		if first.text("msgType") != "Alert" {
			t.Errorf("%s as the first word is %s: it would refer to nothing", typ, first.text("msgType"))
		}
	}
}

func TestCAPCertaintyFollowsTheVerification(t *testing.T) {
	for v, want := range map[grid.Verification]string{grid.VerifiedTrue: "Observed", grid.VerifiedFalse: "Unlikely", grid.Unverified: "Likely"} {
		root := validCAP(t, alertOf(t, delivered("D1", "ticket.updated", func(m *dispatch.Message) { m.Ticket.Verification = v }), nil))
		if got := root.all("info", "certainty")[0]; got != want {
			t.Errorf("certainty of %s is %s, want %s", v, got, want)
		}
	}
}

func TestCAPIsValidWhateverTheRegistryHolds(t *testing.T) {
	odd := strings.Repeat("]]>&<\x00\x01\ufffe 火 ", 500)
	d := delivered("D1", "ticket.opened", func(m *dispatch.Message) {
		m.Ticket.Title, m.Ticket.Place, m.Note, m.Ticket.Case, m.Ticket.Cell = odd, odd, odd, "a b", " "
		m.Ticket.ID, m.Point.Lon, m.Point.Lat = "a\tb c", 0, 0
	})
	validCAP(t, alertOf(t, d, nil))
	empty := grid.Delivery{ID: "D2", Type: "ticket.opened", Body: []byte(`{}`)}
	validCAP(t, alertOf(t, empty, nil))
}

func TestCAPAreaWithoutAPositionIsTheSmallestNamedPolygon(t *testing.T) {
	table := capTable(t)
	small := "31.1,121.1 31.2,121.1 31.2,121.2 31.1,121.1"
	table.Areas = []dispatch.CAPArea{{Code: "310105", Polygon: "31,121 32,121 32,122 31,121"}, {Code: "310105006", Polygon: small}, {Code: "310105008", Polygon: "1,1 1,2 2,2 1,1"}}
	d := delivered("D1", "ticket.opened", func(m *dispatch.Message) { m.Point.Lon, m.Point.Lat = 0, 0 })
	raw, err := dispatch.Alert(d, nil, table)
	if err != nil {
		t.Fatal(err)
	}
	root := validCAP(t, raw)
	if got := root.all("info", "area", "polygon")[0]; got != small || root.text("info", "area", "circle") != "" {
		t.Errorf("polygon is %q, circle %q", got, root.text("info", "area", "circle"))
	}
}

func TestCAPSentAgainIsTheSameBytes(t *testing.T) {
	var got [][]byte
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, body)
		h, _ := webhooks.NewWebhook(secretA)
		if err := h.Verify(body, r.Header); err != nil || r.Header.Get("Content-Type") != "application/cap+xml" {
			t.Errorf("signature: %v, content type %s", err, r.Header.Get("Content-Type"))
		}
	})
	opened, updated := delivered("D1", "ticket.opened"), delivered("D2", "ticket.updated", func(m *dispatch.Message) { m.Delivery.N = 2 })
	c := capTo(t, grid.Unit{URL: s.URL, Secret: secretA}, opened, updated)
	for range 2 {
		if r, err := c.Deliver(t.Context(), updated); err != nil || r.Status != 200 {
			t.Fatal(r, err)
		}
	}
	if !bytes.Equal(got[0], got[1]) {
		t.Error("sent again it differs: a receiver cannot tell that it has it")
	}
}

// hostile are far sides that no HTTP connector may take for a success.
func hostile(t *testing.T) map[string]*httptest.Server {
	inner := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	return map[string]*httptest.Server{
		"500": serve(t, status(500)),
		"404": serve(t, status(404)),
		"redirect inwards": serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inner.URL, http.StatusTemporaryRedirect)
		}),
		"hang-up":         serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"endless headers": serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Junk", strings.Repeat("x", 64<<10)) }),
	}
}

// refusesTheHostile proves that a connector fails on each, within its time, and reaches no
// address that is not public when none is allowed.
func refusesTheHostile(t *testing.T, d grid.Delivery, connect func(url string, r func(grid.Unit) dispatch.Reach) grid.Connector) {
	t.Helper()
	for name, s := range hostile(t) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if r, err := connect(s.URL, reach).Deliver(ctx, d); err == nil {
			t.Errorf("%s counts as a success: %+v", name, r)
		}
		cancel()
	}
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("an internal address was reached") })
	closed := func(u grid.Unit) dispatch.Reach { r := reach(u); r.Allow = nil; return r }
	if _, err := connect(s.URL, closed).Deliver(t.Context(), d); err == nil {
		t.Error("an internal address counts as a success")
	}
}

func TestCAPRefusesTheHostile(t *testing.T) {
	refusesTheHostile(t, delivered("D1", "ticket.opened"), func(url string, r func(grid.Unit) dispatch.Reach) grid.Connector {
		return dispatch.NewCAP(dispatch.CAPConfig{Reach: r(grid.Unit{URL: url}), Table: capTable(t),
			Earlier: func(context.Context, grid.Delivery) ([]grid.Delivery, error) { return nil, nil }})
	})
}

func TestCAPIsNotKeptFromItsSuccessByTheAnswersBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		junk := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
	})
	if r, err := capTo(t, grid.Unit{URL: s.URL}).Deliver(t.Context(), delivered("D1", "ticket.opened")); err != nil || len(r.Detail) > 256 {
		t.Errorf("%v with %d bytes of detail", err, len(r.Detail))
	}
}

func TestCAPLiveWorkStaysFromUnitsThatAreNot(t *testing.T) {
	d := delivered("D1", "ticket.opened", func(m *dispatch.Message) { m.Delivery.Mode = grid.Live })
	if _, err := capTo(t, grid.Unit{}).Deliver(t.Context(), d); !errors.Is(err, dispatch.ErrNever) {
		t.Errorf("err = %v, want never", err)
	}
}

func TestCAPFeedListsAUnitsOwnAlertsAndServesEach(t *testing.T) {
	mine, other := delivered("D1", "ticket.opened"), delivered("D2", "ticket.opened", func(m *dispatch.Message) { m.Delivery.Unit = "other" })
	held := delivered("D3", "ticket.opened")
	mine.Connector, other.Connector, held.Connector, held.State = "cap", "cap", "cap", grid.DeliveryWithheld
	c := capTo(t, grid.Unit{}, mine, other, held)
	get := func(path string, by grid.Actor, tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r, by)
		return w
	}
	unit, admin := grid.Actor{Role: grid.RoleUnit, Unit: "fire-1"}, grid.Actor{Role: grid.RoleOperator}
	for by, want := range map[grid.Actor]string{unit: "D1.xml", admin: "D2.xml D1.xml"} {
		w := get("/cap/feed.atom", by, "")
		var feed struct {
			XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
			ID      string   `xml:"id"`
			Updated string   `xml:"updated"`
			Entries []struct {
				ID      string `xml:"id"`
				Updated string `xml:"updated"`
				Title   string `xml:"title"`
				Link    struct {
					Href string `xml:"href,attr"`
					Type string `xml:"type,attr"`
				} `xml:"link"`
			} `xml:"entry"`
		}
		if err := xml.Unmarshal(w.Body.Bytes(), &feed); err != nil || feed.ID == "" || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/atom+xml") {
			t.Fatalf("%v, %s: %s", err, w.Header().Get("Content-Type"), w.Body)
		}
		var links []string
		for _, e := range feed.Entries {
			links = append(links, e.Link.Href)
			if e.ID == "" || e.Updated == "" || e.Title == "" || e.Link.Type != "application/cap+xml" {
				t.Errorf("entry %+v", e)
			}
			if alert := get("/cap/"+e.Link.Href, by, ""); alert.Code != 200 {
				t.Errorf("%s: %d", e.Link.Href, alert.Code)
			} else {
				validCAP(t, alert.Body.Bytes())
			}
		}
		if strings.Join(links, " ") != want {
			t.Errorf("%s sees %v, want %s", by.Role, links, want)
		}
		if again := get("/cap/feed.atom", by, w.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("asked again with its ETag: %d", again.Code)
		}
	}
	for _, path := range []string{"/cap/D2.xml", "/cap/D3.xml", "/cap/nothing.xml", "/cap/D1", "/cap/"} {
		if w := get(path, unit, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
}

func TestCAPTableIsStrict(t *testing.T) {
	b, _ := configs.FS.ReadFile("cap.yaml")
	for _, change := range [][2]string{
		{"sender: gridgate", "sender: grid gate"}, {"category: [Other]", "category: []"}, {"urgency: Unknown", "urgency: soon"},
		{`zone: "+08:00"`, `zone: CST`}, {"  default:", "  other:"}, {"areas: []", `areas: [{code: "31", polygon: "1,1 2,2 1,1"}]`}, {"contact:", "contacts:"},
		{"restriction: units that handle the ticket", `restriction: ""`}, {"radius_km: 0.02", "radius_km: -1"}, {"response: [Avoid]", "x: 1"},
	} {
		bad := strings.Replace(string(b), change[0], change[1], 1)
		if _, err := dispatch.ParseCAPTable("cap.yaml", []byte(bad)); err == nil && bad != string(b) {
			t.Errorf("%q in place of %q is taken", change[1], change[0])
		}
	}
}
