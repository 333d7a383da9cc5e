package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gridgate/internal/grid"
)

// gateway stands for the API that units answer to.
type gateway struct {
	*httptest.Server
	mu    sync.Mutex
	moves []string // verb, assignment, attempt, evidence there, key, token
	fail  int      // so many calls are answered 503
	code  int      // else the answer; 0: 200
}

func newGateway(t *testing.T) *gateway {
	g := &gateway{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		var a answer
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		if g.fail > 0 {
			g.fail--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		g.moves = append(g.moves, fmt.Sprintf("%s %s %s#%d onsite=%v evidence=%v key=%s %s", r.URL.Path, a.Verb, a.Assignment, a.Attempt,
			a.OnSite, a.Evidence != "", r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization")))
		if g.code != 0 {
			w.WriteHeader(g.code)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) heard() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.moves)
}

// playing runs one unit of a kind.
func playing(t *testing.T, behaviour Behaviour, change ...func(*UnitsConfig)) (*Units, grid.Unit) {
	t.Helper()
	made, err := NewUnits([]grid.UnitKind{grid.MicroStation}, 1)
	if err != nil {
		t.Fatal(err)
	}
	made[0].Behaviour = behaviour
	cfg := UnitsConfig{Units: made, Seed: 1}
	for _, f := range change {
		f(&cfg)
	}
	u, err := OpenUnits(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return u, u.Registry()[0]
}

// post sends a signed message as a gateway would.
func post(t *testing.T, u grid.Unit, secret, id, body string, at time.Time) int {
	t.Helper()
	h, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	sig, _ := h.Sign(id, at, []byte(body))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, u.URL, strings.NewReader(body))
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("webhook-signature", sig)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func opened(callback, kind string, attempt int, lead bool, priority string) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":"gridgate.%s","data":{"ticket":"T1","assignment":"T1.1","attempt":%d,"lead":%v,"priority":%q,
		"title":"Smoke alarm","callback_url":%q,"place":{"words":"Demo Road 1","point":"P1"}}}`, kind, attempt, lead, priority, callback+"/api/v1/tickets/T1/moves")
}

// eventually waits, bounded, until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("did not happen: " + what)
}

func TestAUnitWorksATicketToTheWordOnSite(t *testing.T) {
	g := newGateway(t)
	g.fail = 1
	var mu sync.Mutex
	var restored []string
	_, u := playing(t, Good, func(c *UnitsConfig) {
		c.Restore = func(_ context.Context, point, by string) error {
			mu.Lock()
			defer mu.Unlock()
			restored = append(restored, fmt.Sprintf("%s by %s after %d moves", point, by, len(g.heard())))
			return nil
		}
	})
	if code := post(t, u, u.Secret, "D1", opened(g.URL, "ticket.opened", 1, true, "P1"), time.Now()); code != 200 {
		t.Fatalf("answered %d", code)
	}
	eventually(t, "four moves", func() bool { return len(g.heard()) == 4 })
	token := " Bearer " + u.Token
	want := []string{
		"/api/v1/tickets/T1/moves accept T1.1#1 onsite=false evidence=false key=D1-accept" + token,
		"/api/v1/tickets/T1/moves arrive T1.1#1 onsite=true evidence=false key=D1-arrive" + token,
		"/api/v1/tickets/T1/moves resolve T1.1#1 onsite=true evidence=false key=D1-resolve" + token,
		"/api/v1/tickets/T1/moves confirm T1.1#1 onsite=true evidence=true key=D1-confirm" + token,
	}
	if got := g.heard(); !slices.Equal(got, want) {
		t.Errorf("the gateway heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(restored, []string{"P1 by " + u.ID + " after 2 moves"}) {
		t.Errorf("put right: %v", restored)
	}
}

func TestAHelpingUnitPutsNothingRightAndGivesNoWord(t *testing.T) {
	g := newGateway(t)
	_, u := playing(t, Good, func(c *UnitsConfig) {
		c.Restore = func(context.Context, string, string) error { t.Error("a helper put it right"); return nil }
	})
	post(t, u, u.Secret, "D1", opened(g.URL, "ticket.opened", 1, false, "P1"), time.Now())
	eventually(t, "three moves", func() bool { return len(g.heard()) == 3 })
	post(t, u, u.Secret, "D2", opened(g.URL, "ticket.closed", 1, false, "P1"), time.Now())
	if n := len(g.heard()); n != 3 {
		t.Errorf("%d moves, want accept, arrive and resolve", n)
	}
}

func TestAUnitTakesAMessageOnce(t *testing.T) {
	g := newGateway(t)
	units, u := playing(t, Good)
	for range 3 {
		post(t, u, u.Secret, "D1", opened(g.URL, "ticket.opened", 1, true, "P3"), time.Now())
	}
	eventually(t, "three moves", func() bool { return len(g.heard()) == 3 })
	all, _ := units.Received(u.ID)
	if len(all) != 1 || all[0].Count != 3 || all[0].Ticket != "T1" {
		t.Errorf("it has %+v, want D1 once, sent three times", all)
	}
	resp, err := http.Get(strings.TrimSuffix(u.URL, "/hook") + "/received")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var shown struct{ Received []Received }
	if err := json.NewDecoder(resp.Body).Decode(&shown); err != nil || len(shown.Received) != 1 || shown.Received[0].Count != 3 {
		t.Errorf("GET /received shows %+v, %v", shown, err)
	}
}

func TestAUnitRefusesWhatIsNotSignedByItsGatewayNow(t *testing.T) {
	g := newGateway(t)
	units, u := playing(t, Good)
	body := opened(g.URL, "ticket.opened", 1, true, "P1")
	stranger, err := NewUnits([]grid.UnitKind{grid.FireUnit}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if code := post(t, u, stranger[0].Secret, "D1", body, time.Now()); code != 401 {
		t.Errorf("a stranger's signature is answered %d", code)
	}
	if code := post(t, u, u.Secret, "D1", body, time.Now().Add(-10*time.Minute)); code != 401 {
		t.Errorf("an old message is answered %d", code)
	}
	all, refused := units.Received(u.ID)
	if len(all) != 0 || refused != 2 || len(g.heard()) != 0 {
		t.Errorf("it has %v, refused %d, and made %d moves", all, refused, len(g.heard()))
	}
}

func TestReworkBeginsAgainWithItsAttempt(t *testing.T) {
	g := newGateway(t)
	_, u := playing(t, Good)
	post(t, u, u.Secret, "D1", opened(g.URL, "ticket.opened", 1, true, "P3"), time.Now())
	eventually(t, "the first three moves", func() bool { return len(g.heard()) == 3 })
	post(t, u, u.Secret, "D2", opened(g.URL, "ticket.rework", 2, true, "P3"), time.Now())
	eventually(t, "three more", func() bool { return len(g.heard()) == 6 })
	if last := g.heard()[3]; !strings.Contains(last, "accept T1.1#2") || !strings.Contains(last, "key=D2-accept") {
		t.Errorf("the gateway heard %s", last)
	}
}

func TestAStandDownStopsTheWork(t *testing.T) {
	g := newGateway(t)
	_, u := playing(t, Good, func(c *UnitsConfig) { c.Delays.Arrive = time.Hour })
	post(t, u, u.Secret, "D1", opened(g.URL, "ticket.opened", 1, true, "P1"), time.Now())
	eventually(t, "accept", func() bool { return len(g.heard()) == 1 })
	post(t, u, u.Secret, "D2", opened(g.URL, "ticket.stand_down", 1, true, "P1"), time.Now())
	// The end of the test waits for the unit's people: an hour, had they not stopped.
}

func TestARefusalOfTheGatewayIsFinal(t *testing.T) {
	g := newGateway(t)
	g.code = http.StatusConflict
	var mu sync.Mutex
	var stopped bool
	_, u := playing(t, Good, func(c *UnitsConfig) {
		c.Notes = func(n Note) { mu.Lock(); defer mu.Unlock(); stopped = stopped || n.What == "stopped" }
	})
	post(t, u, u.Secret, "D1", opened(g.URL, "ticket.opened", 1, true, "P1"), time.Now())
	eventually(t, "the unit stops", func() bool { mu.Lock(); defer mu.Unlock(); return stopped })
	if n := len(g.heard()); n != 1 {
		t.Errorf("it tried %d times", n)
	}
}

func TestBehavioursOfUnits(t *testing.T) {
	g := newGateway(t)
	units, u := playing(t, Deaf)
	if code := post(t, u, u.Secret, "D1", opened(g.URL, "ticket.opened", 1, true, "P1"), time.Now()); code != 503 {
		t.Errorf("a deaf unit answers %d", code)
	}
	if all, _ := units.Received(u.ID); len(all) != 0 {
		t.Errorf("a deaf unit has %v", all)
	}
	units, u = playing(t, Flaky)
	codes := map[int]int{}
	for i := range 60 {
		codes[post(t, u, u.Secret, fmt.Sprint("D", i), opened(g.URL, "ticket.updated", 1, true, "P3"), time.Now())]++
	}
	all, _ := units.Received(u.ID)
	if codes[200] == 0 || codes[503] == 0 || codes[0] == 0 || len(all) <= codes[200] {
		t.Errorf("a flaky unit answered %v and has %d", codes, len(all))
	}
}

func TestSecretsComeFromTheSeedOrFromChance(t *testing.T) {
	kinds := []grid.UnitKind{grid.FireUnit, grid.UrbanManagement}
	secrets := func(seed uint64) (out []string) {
		units, err := NewUnits(kinds, seed)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range units {
			out = append(out, u.Secret, u.Token)
		}
		return out
	}
	if !slices.Equal(secrets(4), secrets(4)) || slices.Equal(secrets(4), secrets(5)) || slices.Equal(secrets(0), secrets(0)) {
		t.Error("secrets do not follow their seed")
	}
	if s := secrets(4); s[0] == s[2] || s[1] == s[3] {
		t.Error("two units share a secret")
	}
	if _, err := NewUnits([]grid.UnitKind{"pirates"}, 1); grid.CodeOf(err) != grid.Invalid {
		t.Errorf("err = %v, want invalid", err)
	}
}

func TestTheLeadOnSiteOfASmokeAlarmSaysThatItIsAFire(t *testing.T) {
	g := newGateway(t)
	_, u := playing(t, Good)
	body := strings.Replace(opened(g.URL, "ticket.opened", 1, true, "P1"), `"ticket":`, `"event":"smoke.alarm","ticket":`, 1)
	post(t, u, u.Secret, "D1", body, time.Now())
	eventually(t, "five moves", func() bool { return len(g.heard()) == 5 })
	if got := g.heard()[2]; !strings.Contains(got, " verify ") {
		t.Errorf("after being on site it says %q: want its finding", got)
	}
}
