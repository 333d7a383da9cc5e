package fault

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

func server(t *testing.T) (*HTTP, *[]string, *sync.Mutex) {
	t.Helper()
	var mu sync.Mutex
	var bodies []string
	real := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		bodies = append(bodies, string(b))
		mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(real.Close)
	h, err := OpenHTTP(real.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h, &bodies, &mu
}

func post(t *testing.T, h *HTTP, body string) (*http.Response, string, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := client.Post(h.URL()+"/api/v2/write", "text/plain", strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

func TestAServerAnswersAsItIsToldToAndNothingReachesTheRealOne(t *testing.T) {
	h, bodies, mu := server(t)
	h.Change(func(a *Answers) { *a = Answers{Status: 503, Body: `{"error":"x"}`, RetryAfter: 7, Writes: true} })
	res, body, err := post(t, h, "a b=1\n")
	if err != nil || res.StatusCode != 503 || body != `{"error":"x"}` || res.Header.Get("Retry-After") != "7" {
		t.Fatalf("answer is %v %q %v", res, body, err)
	}
	if res, err := http.Get(h.URL() + "/ping"); err != nil || res.StatusCode != 204 {
		t.Errorf("a read is answered %v (%v): want only writes to suffer", res, err)
	}
	h.Change(func(a *Answers) { *a = Answers{} })
	if res, _, err := post(t, h, "a b=2\n"); err != nil || res.StatusCode != 204 {
		t.Errorf("afterwards the answer is %v (%v)", res, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(*bodies) != 2 || (*bodies)[1] != "a b=2\n" {
		t.Errorf("the real one has %q", *bodies)
	}
}

func TestAConnectionIsCutInTheMiddleOfABodyOrOfItsAnswer(t *testing.T) {
	h, bodies, mu := server(t)
	long := strings.Repeat("a b=1\n", 50_000)
	h.Change(func(a *Answers) { a.Cut = CutRequest })
	if res, _, err := post(t, h, long); err == nil {
		t.Errorf("half a request is answered %s", res.Status)
	}
	mu.Lock()
	if len(*bodies) != 0 {
		t.Errorf("the real one took %d bytes for whole", len((*bodies)[0]))
	}
	mu.Unlock()
	h.Change(func(a *Answers) { a.Cut = CutAnswer })
	if res, _, err := post(t, h, long); err == nil {
		t.Errorf("a lost answer is %s", res.Status)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(*bodies) != 1 || (*bodies)[0] != long {
		t.Errorf("the real one has %d bodies, want the one whose answer was lost", len(*bodies))
	}
}

func TestAPartialWriteDropsSomeLinesAndSaysHowMany(t *testing.T) {
	h, bodies, _ := server(t)
	h.Change(func(a *Answers) { a.Partial = 3 })
	res, body, err := post(t, h, "# c\na 1\nb 2\nc 3\nd 4\n")
	if err != nil || res.StatusCode != 400 || !strings.Contains(body, "partial write") || !strings.Contains(body, "dropped=1") {
		t.Fatalf("answer is %v %q %v", res, body, err)
	}
	if (*bodies)[0] != "# c\na 1\nb 2\nd 4\n" {
		t.Errorf("the real one has %q", (*bodies)[0])
	}
	if res, _, err := post(t, h, "a 1\n"); err != nil || res.StatusCode != 204 {
		t.Errorf("a line alone is answered %v (%v): want it written", res, err)
	}
}

func TestASlowServerAnswersAndNotBeforeItsTime(t *testing.T) {
	h, _, _ := server(t)
	h.Change(func(a *Answers) { a.Wait = 80 * time.Millisecond })
	began := time.Now()
	if res, _, err := post(t, h, "x"); err != nil || res.StatusCode != 204 || time.Since(began) < 80*time.Millisecond {
		t.Errorf("answer is %v (%v) after %s", res, err, time.Since(began))
	}
	h.Change(func(a *Answers) { *a = Answers{Cut: Refused} })
	if res, _, err := post(t, h, "x"); err == nil {
		t.Errorf("a server that is away answers %s", res.Status)
	}
}

// wire collects what devices say.
type wire struct {
	mu  sync.Mutex
	got []simulator.Message
}

func (w *wire) Publish(_ context.Context, m simulator.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, m)
	return nil
}

func (w *wire) counters() (out []uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.got {
		out = append(out, m.Counter)
	}
	return out
}

func messages(t *testing.T, seed uint64) (*Messages, *wire, func(who string, n uint32)) {
	t.Helper()
	w := &wire{}
	x := NewMessages(w, seed)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { x.Run(ctx) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return x, w, func(who string, n uint32) {
		if err := x.Publish(t.Context(), simulator.Message{Identity: grid.Identity(who), Counter: n, Payload: []byte("payload")}); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *wire) waitFor(t *testing.T, n int) []uint32 {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if got := w.counters(); len(got) >= n {
			return got
		}
	}
	t.Fatalf("%d messages have come, want %d", len(w.counters()), n)
	return nil
}

func TestTheFateOfAMessageFollowsFromTheSeedAndNotFromOthers(t *testing.T) {
	fate := func(others bool) []uint32 {
		x, w, say := messages(t, 5)
		x.Change(func(c *Conditions) { c.Loss = 0.5 })
		for n := range uint32(100) {
			if others {
				say("other", n)
			}
			say("one", n)
		}
		var out []uint32
		for _, m := range w.got {
			if m.Identity == "one" {
				out = append(out, m.Counter)
			}
		}
		return out
	}
	alone, among := fate(false), fate(true)
	if len(alone) < 30 || len(alone) > 70 {
		t.Errorf("%d of 100 have come at a loss of half", len(alone))
	}
	if len(alone) != len(among) {
		t.Errorf("alone %v, among others %v: want the same", alone, among)
	}
	for i := range min(len(alone), len(among)) {
		if alone[i] != among[i] {
			t.Fatalf("alone %v, among others %v: want the same", alone, among)
		}
	}
}

func TestAMessageComesTwiceIsOvertakenAndIsLateButNeverLostByIt(t *testing.T) {
	x, w, say := messages(t, 1)
	x.Change(func(c *Conditions) { c.Duplicate = 1 })
	say("a", 1)
	if got := w.waitFor(t, 2); got[0] != 1 || got[1] != 1 {
		t.Errorf("got %v, want 1 twice", got)
	}
	x.Change(func(c *Conditions) { *c = Conditions{Reorder: 1} })
	say("a", 2)
	x.Change(func(c *Conditions) { c.Reorder = 1e-12 })
	say("a", 3)
	if got := w.waitFor(t, 4); got[2] != 3 || got[3] != 2 {
		t.Errorf("got %v, want 3 before 2", got)
	}
	x.Change(func(c *Conditions) { *c = Conditions{BlackHole: true} })
	say("a", 4)
	if n := len(w.counters()); n != 4 || x.Held() != 1 {
		t.Errorf("%d have come and %d are held, want 4 and 1", n, x.Held())
	}
	x.Change(func(c *Conditions) { *c = Conditions{Delay: 20 * time.Millisecond} })
	say("a", 5)
	if got := w.waitFor(t, 6); got[4] != 4 || got[5] != 5 {
		t.Errorf("got %v, want 4 and 5 at the end", got)
	}
}

func TestAMessageIsCorruptedInOneBit(t *testing.T) {
	x, w, say := messages(t, 1)
	x.Change(func(c *Conditions) { c.Corrupt = 1 })
	say("a", 1)
	if got := string(w.got[0].Payload); got == "payload" || len(got) != 7 {
		t.Errorf("payload is %q, want one bit turned", got)
	}
}
