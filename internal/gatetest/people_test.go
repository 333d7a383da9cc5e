package gatetest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// exchange is a voice provider, as the sample connector speaks to it: it says what it was
// told back, number and all, as such systems do.
type exchange struct {
	*httptest.Server
	mu       sync.Mutex
	called   []string // numbers, in order
	picks    string   // the number that is picked up
	pressing string   // and the key
}

func newExchange(t *testing.T) *exchange {
	e := &exchange{}
	e.Server = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(e.Close)
	return e
}

func (e *exchange) serve(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost {
		var in struct {
			Callee string `json:"callee"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Callee == deadNumber {
			fmt.Fprintf(w, `{"code":"NUMBER_INVALID","message":"no such subscriber %s (%s)"}`, in.Callee, spaced(in.Callee))
			return
		}
		e.called = append(e.called, in.Callee)
		fmt.Fprintf(w, `{"code":"OK","callId":"%s-%d","callee":%q}`, strings.Repeat("C", 3), len(e.called)-1, in.Callee)
		return
	}
	var n int
	if _, err := fmt.Sscanf(filepath.Base(r.URL.Path), "CCC-%d", &n); err != nil || n >= len(e.called) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if e.called[n] != e.picks {
		fmt.Fprintf(w, `{"code":"OK","state":"ringing","callee":%q}`, e.called[n])
		return
	}
	fmt.Fprintf(w, `{"code":"OK","state":"answered","key":%q,"callee":%q,"listened":true,"note":"said by %s"}`, e.pressing, e.called[n], e.called[n])
}

func (e *exchange) calls() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.called)
}

// Numbers that nobody has.
const (
	deskNumber     = "00000000011"
	chiefNumber    = "00000000022"
	deadNumber     = "00000000033"
	occupantNumber = "00000000044"
)

var privateNumbers = []string{deskNumber, chiefNumber, deadNumber, occupantNumber, spaced(deadNumber)}

// spaced is a number as people write it.
func spaced(n string) string {
	if len(n) != 11 {
		return n
	}
	return n[:3] + " " + n[3:7] + " " + n[7:]
}

const peopleUnits = `
units:
  - {id: micro, kind: micro_fire_station, tier: 2, mode: simulated, connector: inbox, token: micro-token}
  - {id: call-voice, kind: operator, tier: 4, district: "999999", mode: simulated, connector: voice, url: "URL", secret: k, settings: {app_id: a, number: "000", template_id: t}}
`

func contactOf(t *testing.T, g *gateway, of string, role grid.ContactRole, order int, number string) api.ContactView {
	t.Helper()
	v, err := g.api.PutContact(t.Context(), api.ContactAsk{Of: of, Role: role, Order: order, Channel: grid.Voice, Number: grid.Secret(number), Name: "NOBODY-BY-NAME"}, "key-"+of+number)
	must(t, err)
	return v
}

// A smoke alarm calls the people of the station and of the flat. Who does not exist and who
// does not pick up are followed by the next; a key is the unit's acceptance; and no number
// is anywhere but at the exchange and in the reveal.
func TestPeopleAreCalledUntilOneAnswersAndNoNumberLeavesTheSeal(t *testing.T) {
	e := newExchange(t)
	g := newGateway(t, "dispatch: {allow_cidrs: [127.0.0.0/8], poll: 1m}", "routes: DIR/routes.yaml", "registry: [DIR/units.yaml]", "log: {level: debug}")
	write(t, filepath.Join(g.dir, "routes.yaml"), "chains: {wait: 8s, priorities: [1], call: [unit, point], channels: {voice: [call-voice]}}\n")
	write(t, filepath.Join(g.dir, "units.yaml"), strings.ReplaceAll(peopleUnits, "URL", e.URL))
	g.start(t)
	g.put(t, smokeRegistry)
	contactOf(t, g, "unit:micro", grid.DutyPhone, 1, deadNumber)
	contactOf(t, g, "unit:micro", grid.DutyPhone, 2, deskNumber)
	contactOf(t, g, "unit:micro", grid.KeyHolder, 3, chiefNumber)
	flat := contactOf(t, g, "point:ceiling-1", grid.Occupant, 1, occupantNumber)
	if flat.Masked != "000****44" {
		t.Errorf("number is shown as %q", flat.Masked)
	}
	stream := streamed(t, g)
	e.mu.Lock()
	e.picks, e.pressing = chiefNumber, "1"
	e.mu.Unlock()
	connect(t, g.broker).send(t, "gridgate/up/eui:0267000100000001/6", unhex(ra02a(true, 420)))

	var tk grid.Ticket
	eventually(t, time.Minute, "the key of the third contact to be the unit's acceptance", func() error {
		for _, tk = range all[grid.Ticket](t, g, "tickets", api.Query{Point: "ceiling-1"}) {
			for _, a := range tk.Assignments {
				if a.Unit == "micro" && a.State == grid.TicketAccepted {
					return nil
				}
			}
		}
		return fmt.Errorf("%+v, called %v", tk, e.calls())
	})
	called := slices.DeleteFunc(e.calls(), func(n string) bool { return n == occupantNumber })
	if !slices.Equal(called, []string{deskNumber, chiefNumber}) || !slices.Contains(e.calls(), occupantNumber) {
		t.Errorf("called were %v, want the desk and then the chief, and the flat", e.calls())
	}
	for _, c := range tk.Chains {
		if c.Of == "unit:micro" && (len(c.Calls) != 3 || c.Calls[0].Failed == "" || c.Ended.IsZero()) {
			t.Errorf("chain is %+v, want three calls, the first not made, and its end", c)
		}
	}

	revealed, err := g.api.RevealContact(t.Context(), flat.ID, "", &api.As{Name: "op-01"})
	if err != nil || revealed.Number != occupantNumber || revealed.Name != "NOBODY-BY-NAME" {
		t.Errorf("revealed during the alarm: %+v, %v", revealed, err)
	}
	private(t, g, stream, tk.ID)

	reads, err := g.api.ContactReads(t.Context(), flat.ID)
	if err != nil || len(reads.Items) != 1 || reads.Items[0].By.Name != "op-01" || !strings.Contains(reads.Items[0].Why, tk.ID) {
		t.Errorf("who has read it: %+v, %v: want op-01 for the ticket", reads.Items, err)
	}
	_, err = g.api.EraseContact(t.Context(), flat.ID, "moved out")
	must(t, err)
	if _, err := g.api.RevealContact(t.Context(), flat.ID, "again", nil); err == nil {
		t.Error("an erased contact was revealed")
	}
}

// private looks for numbers and names wherever the gateway says or keeps something.
func private(t *testing.T, g *gateway, stream *hearing, ticket string) {
	t.Helper()
	said := map[string]string{"the log": g.Output(t), "the stream": stream.String()}
	for _, path := range []string{"tickets", "deliveries?limit=1000", "contacts", "events", "tickets/" + ticket + "/moves", "tickets/" + ticket + "/explain"} {
		b, err := getJSON[json.RawMessage](t.Context(), g.api.URL+"/api/v1/"+path, g.api.Token)
		must(t, err)
		said["/"+path] = string(b)
	}
	for _, d := range all[grid.Delivery](t, g, "deliveries", api.Query{Ticket: ticket}) {
		b, err := getJSON[json.RawMessage](t.Context(), g.api.URL+"/api/v1/deliveries/"+d.ID, g.api.Token)
		must(t, err)
		said["attempts of "+d.ID] = string(b)
	}
	for _, suffix := range []string{"", "-wal"} { // the state, with what is applied and audited
		b, err := os.ReadFile(filepath.Join(g.dir, "data", "state.db"+suffix))
		must(t, err)
		said["state.db"+suffix] = string(b)
	}
	for where, text := range said {
		if len(text) == 0 {
			t.Errorf("%s is empty: nothing was looked at", where)
		}
		for _, n := range append(privateNumbers, "NOBODY-BY-NAME") {
			if i := strings.Index(text, n); i >= 0 {
				t.Errorf("%s holds %s: …%q…", where, n, text[max(0, i-60):min(len(text), i+80)])
			}
		}
	}
}

// hearing keeps what a reader of the stream hears.
type hearing struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (h *hearing) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all.Write(b)
}

func (h *hearing) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all.String()
}

// streamed reads the live stream as long as the test lasts.
func streamed(t *testing.T, g *gateway) *hearing {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.api.URL+"/api/v1/stream", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+g.api.Token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	out, done := &hearing{}, make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(out, res.Body)
	}()
	t.Cleanup(func() { res.Body.Close(); <-done })
	return out
}

func TestRoutesThatNameAUnitThatIsNotThereAreRefusedAtTheStart(t *testing.T) {
	g := newGateway(t, "routes: DIR/routes.yaml")
	write(t, filepath.Join(g.dir, "routes.yaml"), "routes: [{name: covers, match: {types: [manhole.open]}, units: [water]}]\n")
	g.Start(t)
	eventually(t, time.Minute, "the gateway to say what is missing", func() error {
		if out := g.Output(t); !strings.Contains(out, `unit \"water\" is not registered`) && !strings.Contains(out, `unit "water" is not registered`) {
			return fmt.Errorf("it says %s", out)
		}
		return nil
	})
}
