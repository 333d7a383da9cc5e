package dispatch_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
)

// book is the store and the engine as the dispatcher sees them.
type book struct {
	mu        sync.Mutex
	rows      map[string]*grid.Delivery
	attempts  []grid.Attempt
	successes map[string]int
	fail      func() error // of DeliveryResult
	reads     int
}

func newBook(ds ...grid.Delivery) *book {
	b := &book{rows: map[string]*grid.Delivery{}, successes: map[string]int{}}
	b.commit(ds...)
	return b
}

func (b *book) commit(ds ...grid.Delivery) []grid.Delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range ds {
		b.rows[d.ID] = &d
	}
	return ds
}

func (b *book) pending(context.Context) ([]grid.Delivery, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	var out []grid.Delivery
	for _, d := range b.rows {
		if d.State == grid.DeliveryPending {
			out = append(out, *d)
		}
	}
	return out, nil // in no order
}

func (b *book) DeliveryResult(_ context.Context, id string, a grid.Attempt, r dispatch.Outcome) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		if err := b.fail(); err != nil {
			return err
		}
	}
	d := b.rows[id]
	if d == nil {
		return grid.Errorf(grid.NotFound, "delivery %s: not there", id)
	}
	d.State, d.Next, d.Status, d.Error, d.Ref, d.Attempts = r.State, r.Next, r.Status, r.Error, r.Ref, a.N
	b.attempts = append(b.attempts, a)
	if r.Error == "" {
		b.successes[id]++
	}
	return nil
}

func (b *book) state(id string) grid.DeliveryState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rows[id].State
}

func (b *book) tries(id string) (out []grid.Attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.attempts {
		if a.Delivery == id {
			out = append(out, a)
		}
	}
	return out
}

// line is a connector whose far side is a function.
type line func(ctx context.Context, d grid.Delivery) (grid.Receipt, error)

func (l line) Deliver(ctx context.Context, d grid.Delivery) (grid.Receipt, error) { return l(ctx, d) }

var (
	good     = line(func(context.Context, grid.Delivery) (grid.Receipt, error) { return grid.Receipt{Status: 200}, nil })
	broken   = line(func(context.Context, grid.Delivery) (grid.Receipt, error) { return grid.Receipt{Status: 500}, errDown })
	refusing = line(func(context.Context, grid.Delivery) (grid.Receipt, error) { return grid.Receipt{Status: 400}, errDown })
	hanging  = line(func(ctx context.Context, _ grid.Delivery) (grid.Receipt, error) {
		<-ctx.Done()
		return grid.Receipt{}, ctx.Err()
	})
	errDown = errors.New("far side is down")
)

// running starts a dispatcher inside a bubble; the returned function stops it.
func running(t *testing.T, b *book, c grid.Connector, cfg dispatch.Config) (*dispatch.Dispatcher, func()) {
	t.Helper()
	d := dispatch.New(cfg, b.pending, b, map[string]grid.Connector{"webhook": c}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.Run(ctx); close(done) }()
	stop := func() { cancel(); <-done }
	t.Cleanup(stop)
	synctest.Wait()
	return d, stop
}

// pass lets d go by and everything that happens in it come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func urgent(id string) grid.Delivery { return one(id) }

func plain(id string) grid.Delivery {
	d := one(id)
	d.Priority, d.Lane = 3, grid.Bulk
	return d
}

func to(unit, ticket string, n int64, d grid.Delivery) grid.Delivery {
	d.Unit, d.Ticket, d.N = unit, ticket, n
	return d
}

func exact() dispatch.Retry {
	r := dispatch.StandardRetry()
	r.Jitter = 0
	return r
}

func TestFirstDeliveryLeavesOnCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		d, _ := running(t, b, good, dispatch.Config{})
		began := time.Now()
		d.Notify(b.commit(urgent("D1"), plain("D2")))
		synctest.Wait()
		if b.state("D1") != grid.DeliveryReceived || b.state("D2") != grid.DeliveryReceived {
			t.Errorf("D1 is %s, D2 is %s: want received", b.state("D1"), b.state("D2"))
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("they waited %s for a clock", waited)
		}
	})
}

func TestRetriesFollowTheTableAndThenItIsDead(t *testing.T) {
	s, m, h := time.Second, time.Minute, time.Hour
	slow := []time.Duration{5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h}
	for _, c := range []struct {
		d    grid.Delivery
		want []time.Duration
	}{
		{plain("D1"), append([]time.Duration{0, 5 * s}, slow...)},
		{urgent("D1"), append([]time.Duration{0, 1 * s, 2 * s, 5 * s, 10 * s, 30 * s}, slow...)},
	} {
		t.Run(c.d.Priority.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBook()
				d, _ := running(t, b, refusing, dispatch.Config{Retry: exact()})
				began := time.Now()
				d.Notify(b.commit(c.d))
				time.Sleep(200 * h)
				at := began
				for i, a := range b.tries("D1") {
					at = at.Add(c.want[i])
					if !a.At.Equal(at) || a.N != i+1 {
						t.Errorf("attempt %d (%d) after %s, want %s", a.N, i+1, a.At.Sub(began), at.Sub(began))
					}
				}
				if n := len(b.tries("D1")); n != len(c.want) || b.state("D1") != grid.DeliveryDead {
					t.Errorf("%d attempts, then %s: want %d, then dead", n, b.state("D1"), len(c.want))
				}
			})
		})
	}
}

func TestJitterMovesARetryByAtMostATenth(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			b := newBook(plain("D1"))
			running(t, b, refusing, dispatch.Config{})
			pass(time.Minute)
			as := b.tries("D1")
			pause := as[1].At.Sub(as[0].At)
			if pause < 4500*time.Millisecond || pause > 5500*time.Millisecond {
				t.Errorf("second attempt after %s, want 5 s and at most a tenth more or less", pause)
			}
			seen[pause] = true
		})
	}
	if len(seen) < 10 {
		t.Errorf("only %d different pauses in 50 runs", len(seen))
	}
}

func TestAPauseThatTheUnitAsksForIsKept(t *testing.T) {
	busy := line(func(context.Context, grid.Delivery) (grid.Receipt, error) {
		return grid.Receipt{Status: 429, RetryHint: time.Hour}, errDown
	})
	for _, c := range []struct {
		d    grid.Delivery
		want time.Duration
	}{{plain("D1"), time.Hour}, {urgent("D1"), 30 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			b := newBook(c.d)
			running(t, b, busy, dispatch.Config{Retry: exact()})
			pass(90 * time.Minute)
			as := b.tries("D1")
			if pause := as[1].At.Sub(as[0].At); pause != c.want {
				t.Errorf("%s: second attempt after %s, want %s", c.d.Priority, pause, c.want)
			}
		})
	}
}

func TestWhatNoRetryCanMendIsDeadAtOnceAndCanBeSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := true
		b := newBook(urgent("D1"))
		d, _ := running(t, b, line(func(context.Context, grid.Delivery) (grid.Receipt, error) {
			if gone {
				return grid.Receipt{Status: 410}, fmt.Errorf("%w: 410", dispatch.ErrNever)
			}
			return grid.Receipt{Status: 200}, nil
		}), dispatch.Config{})
		pass(time.Hour)
		if b.state("D1") != grid.DeliveryDead || len(b.tries("D1")) != 1 {
			t.Fatalf("%s after %d attempts, want dead after 1", b.state("D1"), len(b.tries("D1")))
		}
		gone = false
		again := *b.rows["D1"]
		again.State, again.Next = grid.DeliveryPending, time.Time{}
		d.Notify(b.commit(again))
		synctest.Wait()
		if b.state("D1") != grid.DeliveryReceived {
			t.Errorf("sent again by a person it is %s, want received", b.state("D1"))
		}
	})
}

func TestAnAttemptEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(urgent("D1"))
		running(t, b, hanging, dispatch.Config{})
		time.Sleep(15*time.Second + time.Millisecond)
		if as := b.tries("D1"); len(as) != 1 || as[0].Took != 15*time.Second || as[0].Error == "" {
			t.Errorf("attempts %+v, want one of 15 s", as)
		}
	})
}

func TestAResolveNeverOvertakesItsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []int64
		fails := 3
		far := line(func(_ context.Context, d grid.Delivery) (grid.Receipt, error) {
			time.Sleep(time.Second)
			if d.N == 1 && fails > 0 {
				fails--
				return grid.Receipt{Status: 500}, errDown
			}
			order = append(order, d.N)
			return grid.Receipt{Status: 200}, nil
		})
		b := newBook()
		d, _ := running(t, b, far, dispatch.Config{})
		d.Notify(b.commit(to("fire-1", "T1", 1, urgent("open"))))
		synctest.Wait()
		d.Notify(b.commit(to("fire-1", "T1", 3, urgent("closed"))))
		d.Notify(b.commit(to("fire-1", "T1", 2, urgent("rework"))))
		pass(time.Minute)
		if !slices.Equal(order, []int64{1, 2, 3}) {
			t.Errorf("the unit got %v, want 1 2 3", order)
		}
	})
}

func TestTheNextMessageGoesWhenTheOneBeforeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := line(func(_ context.Context, d grid.Delivery) (grid.Receipt, error) {
			if d.N == 1 {
				return grid.Receipt{Status: 410}, fmt.Errorf("%w: 410", dispatch.ErrNever)
			}
			return grid.Receipt{Status: 200}, nil
		})
		b := newBook(to("fire-1", "T1", 1, urgent("A")), to("fire-1", "T1", 2, urgent("B")))
		running(t, b, far, dispatch.Config{})
		if b.state("A") != grid.DeliveryDead || b.state("B") != grid.DeliveryReceived {
			t.Errorf("A is %s, B is %s: want dead and received", b.state("A"), b.state("B"))
		}
	})
}

func TestOneDeafUnitNeverStopsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := line(func(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
			if d.Unit == "deaf" {
				return hanging(ctx, d)
			}
			return good(ctx, d)
		})
		b := newBook()
		d, _ := running(t, b, far, dispatch.Config{Attempts: [grid.Lanes]int{8, 8}})
		for i := range 500 {
			d.Notify(b.commit(to("deaf", fmt.Sprint("T", i), 1, urgent(fmt.Sprint("X", i)))))
		}
		synctest.Wait()
		began := time.Now()
		for i := range 100 {
			d.Notify(b.commit(to("fire-1", fmt.Sprint("T", i), 1, urgent(fmt.Sprint("D", i)))))
		}
		synctest.Wait()
		for i := range 100 {
			if id := fmt.Sprint("D", i); b.state(id) != grid.DeliveryReceived {
				t.Fatalf("%s is %s while another unit is deaf", id, b.state(id))
			}
		}
		if time.Since(began) != 0 {
			t.Errorf("they waited %s", time.Since(began))
		}
	})
}

func TestABulkFloodDoesNotHoldUpSafety(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := line(func(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
			if d.Lane == grid.Bulk {
				return hanging(ctx, d)
			}
			return good(ctx, d)
		})
		b := newBook()
		d, _ := running(t, b, far, dispatch.Config{})
		for i := range 1000 {
			d.Notify(b.commit(to(fmt.Sprint("u", i%50), fmt.Sprint("T", i), 1, plain(fmt.Sprint("B", i)))))
		}
		synctest.Wait()
		d.Notify(b.commit(urgent("S1")))
		synctest.Wait()
		if b.state("S1") != grid.DeliveryReceived {
			t.Errorf("the safety delivery is %s", b.state("S1"))
		}
	})
}

func TestADeafUnitGetsOneAttemptAtATimeUntilItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		calls, now, most, down := 0, 0, 0, true
		far := line(func(context.Context, grid.Delivery) (grid.Receipt, error) {
			mu.Lock()
			calls++
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			now--
			if down {
				return grid.Receipt{Status: 503}, errDown
			}
			return grid.Receipt{Status: 200}, nil
		})
		b := newBook()
		d, _ := running(t, b, far, dispatch.Config{})
		for i := range 200 {
			d.Notify(b.commit(to("u", fmt.Sprint("T", i), 1, plain(fmt.Sprint("D", i)))))
		}
		pass(time.Second)
		if calls > 12 || !slices.Equal(d.Stats().Lanes[grid.Bulk].Deaf, []string{"u"}) {
			t.Errorf("%d attempts in the first second at a unit that is down, deaf: %v", calls, d.Stats().Lanes[grid.Bulk].Deaf)
		}
		mu.Lock()
		before := calls
		most = 0
		mu.Unlock()
		pass(10 * time.Minute) // probes at 5, 10, 20 … s
		if n := calls - before; n < 4 || n > 12 || most != 1 {
			t.Errorf("%d probes in ten minutes, %d at once: want a few, one at a time", n, most)
		}
		mu.Lock()
		down = false
		mu.Unlock()
		pass(11 * time.Minute)
		for i := range 200 {
			if id := fmt.Sprint("D", i); b.state(id) != grid.DeliveryReceived {
				t.Fatalf("%s is %s after the unit came back", id, b.state(id))
			}
		}
		if len(d.Stats().Lanes[grid.Bulk].Deaf) != 0 {
			t.Error("it still counts as deaf")
		}
	})
}

func TestAFireIsTriedEvenAtADeafUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		cfg := dispatch.Config{Retry: exact()}
		d, _ := running(t, b, broken, cfg)
		for i := range 20 {
			low := to("u", fmt.Sprint("T", i), 1, plain(fmt.Sprint("D", i)))
			low.Lane = grid.Safety
			d.Notify(b.commit(low))
		}
		pass(time.Second)
		began := time.Now()
		d.Notify(b.commit(to("u", "fire", 1, urgent("F"))))
		pass(10 * time.Second)
		var got []time.Duration
		for _, a := range b.tries("F") {
			got = append(got, a.At.Sub(began))
		}
		if want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 8 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("tried after %v, want %v", got, want)
		}
	})
}

func TestTheResultOfAnAttemptIsNeverLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused, calls := 0, 0
		b := newBook()
		b.fail = func() error {
			if refused++; refused <= 7 {
				return errors.New("disk is full")
			}
			return nil
		}
		d, _ := running(t, b, line(func(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
			calls++
			return good(ctx, d)
		}), dispatch.Config{})
		d.Notify(b.commit(urgent("D1")))
		pass(time.Minute)
		if b.state("D1") != grid.DeliveryReceived || calls != 1 {
			t.Errorf("%s after %d sends, want received after 1", b.state("D1"), calls)
		}
	})
}

func TestADeliveryThatIsGoneIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		d, _ := running(t, b, broken, dispatch.Config{})
		d.Notify([]grid.Delivery{urgent("ghost")}) // never committed
		pass(time.Hour)
		if w := d.Stats().Lanes[grid.Safety].Waiting; w != 0 {
			t.Errorf("%d still waiting", w)
		}
	})
}

func TestAConnectorThatPanicsFailsOnlyItsAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		b := newBook(urgent("D1"))
		running(t, b, line(func(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
			if first {
				first = false
				panic("index out of range")
			}
			return good(ctx, d)
		}), dispatch.Config{})
		pass(time.Minute)
		if b.state("D1") != grid.DeliveryReceived {
			t.Errorf("D1 is %s", b.state("D1"))
		}
	})
}

func TestAnUnknownConnectorIsTriedAndThenDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := urgent("D1")
		x.Connector = "pigeon"
		b := newBook(x)
		running(t, b, good, dispatch.Config{})
		pass(200 * time.Hour)
		if b.state("D1") != grid.DeliveryDead {
			t.Errorf("D1 is %s", b.state("D1"))
		}
	})
}

func TestWithheldAndEndedDeliveriesAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		calls := 0
		d, _ := running(t, b, line(func(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
			calls++
			return good(ctx, d)
		}), dispatch.Config{})
		for i, st := range []grid.DeliveryState{grid.DeliveryWithheld, grid.DeliveryReceived, grid.DeliveryDead, grid.DeliverySeen} {
			x := urgent(fmt.Sprint("D", i))
			x.State = st
			d.Notify(b.commit(x))
		}
		pass(time.Hour)
		if calls != 0 {
			t.Errorf("%d were sent", calls)
		}
	})
}

func TestStoppingCutsAttemptsOffAndTheNextStartMakesThemAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(urgent("D1"), to("u2", "T2", 1, plain("D2")))
		_, stop := running(t, b, hanging, dispatch.Config{})
		began := time.Now()
		stop()
		if time.Since(began) > time.Second || len(b.attempts) != 0 {
			t.Errorf("stopping took %s and recorded %d attempts", time.Since(began), len(b.attempts))
		}
		running(t, b, good, dispatch.Config{})
		if b.state("D1") != grid.DeliveryReceived || b.state("D2") != grid.DeliveryReceived {
			t.Errorf("after the restart D1 is %s, D2 is %s", b.state("D1"), b.state("D2"))
		}
	})
}

func TestARestartKeepsTheRetryTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := plain("D1")
		x.Attempts, x.Next = 2, time.Now().Add(3*time.Minute)
		b := newBook(x)
		began := time.Now()
		running(t, b, good, dispatch.Config{})
		pass(time.Hour)
		if as := b.tries("D1"); len(as) != 1 || as[0].N != 3 || as[0].At.Sub(began) != 3*time.Minute {
			t.Errorf("attempts %+v, want the third after 3 m", as)
		}
	})
}

func TestNotifyUnderPressureLosesNothingAndKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[string][]int64{}
		far := line(func(_ context.Context, d grid.Delivery) (grid.Receipt, error) {
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			got[d.Ticket] = append(got[d.Ticket], d.N)
			return grid.Receipt{Status: 200}, nil
		})
		b := newBook()
		d, _ := running(t, b, far, dispatch.Config{Buffer: 4, Attempts: [grid.Lanes]int{3, 3}})
		for n := range int64(20) {
			for k := range 50 {
				d.Notify(b.commit(to(fmt.Sprint("u", k%5), fmt.Sprint("T", k), n, urgent(fmt.Sprintf("D%d-%d", k, n)))))
			}
		}
		pass(time.Minute)
		for k := range 50 {
			if ns := got[fmt.Sprint("T", k)]; len(ns) != 20 || !slices.IsSorted(ns) {
				t.Fatalf("ticket %d: the unit got %v", k, ns)
			}
		}
		if b.reads < 3 {
			t.Errorf("the store was read %d times: the buffer never overflowed, the test proves nothing", b.reads)
		}
	})
}

func TestAStoreThatCannotBeReadIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(urgent("D1"))
		fails := 5
		pending := func(ctx context.Context) ([]grid.Delivery, error) {
			b.mu.Lock()
			fails--
			failing := fails > 0
			b.mu.Unlock()
			if failing {
				return nil, errDown
			}
			return b.pending(ctx)
		}
		d := dispatch.New(dispatch.Config{}, pending, b, map[string]grid.Connector{"webhook": good}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { d.Run(ctx); close(done) }()
		pass(time.Minute)
		if b.state("D1") != grid.DeliveryReceived {
			t.Errorf("D1 is %s", b.state("D1"))
		}
		cancel()
		<-done
	})
}

// TestWhateverHappensEachDeliveryIsRecordedOnceAndInOrder runs units that fail at random,
// a store that refuses at random, overflow and restarts, by seed.
func TestWhateverHappensEachDeliveryIsRecordedOnceAndInOrder(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func chaos(t *testing.T, rng *rand.Rand) {
	var mu sync.Mutex
	dice := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
	got := map[string][]int64{} // by unit and ticket, first receipt of each
	seen := map[string]bool{}
	calls := map[string]int{}
	far := line(func(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
		mu.Lock()
		calls[d.ID]++
		tired := calls[d.ID] > 6 // fewer than kill a delivery: what dies is another test's
		mu.Unlock()
		way := dice(6)
		if tired {
			way = 3
		}
		switch way {
		case 0:
			return hanging(ctx, d)
		case 1:
			return grid.Receipt{Status: 503, RetryHint: time.Duration(dice(60)) * time.Second}, errDown
		case 2:
			time.Sleep(time.Duration(dice(2000)) * time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		if !seen[d.ID] {
			seen[d.ID] = true
			got[d.Unit+"/"+d.Ticket] = append(got[d.Unit+"/"+d.Ticket], d.N)
		}
		return grid.Receipt{Status: 200}, nil
	})
	b := newBook()
	b.fail = func() error {
		if dice(10) == 0 {
			return errors.New("busy")
		}
		return nil
	}
	cfg := dispatch.Config{Buffer: 5, Attempts: [grid.Lanes]int{4, 4}, PerUnit: 2}
	const tickets, messages = 12, 6
	for n := range int64(messages) {
		d, stop := running(t, b, far, cfg)
		for k := range tickets {
			x := plain(fmt.Sprintf("D%d-%d", k, n))
			if k%3 == 0 {
				x = urgent(x.ID)
			}
			x.Created = time.Now()
			d.Notify(b.commit(to(fmt.Sprint("u", k%4), fmt.Sprint("T", k), n, x)))
			time.Sleep(time.Duration(dice(300)) * time.Millisecond)
		}
		time.Sleep(time.Duration(dice(20_000)) * time.Millisecond)
		stop()
	}
	running(t, b, far, cfg)
	pass(400 * time.Hour)
	for id, d := range b.rows {
		if d.State != grid.DeliveryReceived || b.successes[id] != 1 {
			t.Errorf("%s is %s, recorded as delivered %d times (attempts %d): want received, once", id, d.State, b.successes[id], d.Attempts)
		}
	}
	for k, ns := range got {
		if !slices.IsSortedFunc(ns, cmp.Compare[int64]) || len(ns) != messages {
			t.Errorf("%s got %v", k, ns)
		}
	}
}

// slowStore reads at once and answers later, as a database under load does.
func slowStore(b *book, wait time.Duration) func(context.Context) ([]grid.Delivery, error) {
	return func(ctx context.Context) ([]grid.Delivery, error) {
		ds, err := b.pending(ctx)
		time.Sleep(wait)
		return ds, err
	}
}

func TestWhatEndsWhileTheStoreIsReadIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		var mu sync.Mutex
		sent := map[string]int{}
		far := line(func(_ context.Context, d grid.Delivery) (grid.Receipt, error) {
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			sent[d.ID]++
			if d.ID == "failing" {
				return grid.Receipt{Status: 400}, errDown
			}
			return grid.Receipt{Status: 200}, nil
		})
		d := dispatch.New(dispatch.Config{Buffer: 2, Retry: exact()}, slowStore(b, 3*time.Second), b, map[string]grid.Connector{"webhook": far}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { d.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		pass(4 * time.Second)
		d.Notify(b.commit(to("u", "T1", 1, urgent("quick")), to("u", "T2", 1, urgent("failing"))))
		pass(500 * time.Millisecond)
		for i := range 5 { // overflows: the store is read while both are on their way
			d.Notify(b.commit(to("u2", fmt.Sprint("X", i), 1, urgent(fmt.Sprint("X", i)))))
		}
		pass(time.Minute)
		if sent["quick"] != 1 {
			t.Errorf("sent %d times", sent["quick"])
		}
		for i, a := range b.tries("failing") {
			if a.N != i+1 {
				t.Errorf("attempt %d is counted as %d: an older copy went over ours", i+1, a.N)
			}
		}
		if len(b.tries("failing")) < 3 || b.reads < 3 {
			t.Errorf("%d attempts, %d reads: the test proves nothing", len(b.tries("failing")), b.reads)
		}
	})
}

func TestALateOlderMessageDoesNotDisturbOneOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		d, _ := running(t, b, line(func(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
			time.Sleep(time.Second)
			return good(ctx, d)
		}), dispatch.Config{})
		d.Notify(b.commit(to("u", "T", 2, urgent("second"))))
		synctest.Wait()
		d.Notify(b.commit(to("u", "T", 1, urgent("first"))))
		pass(time.Minute)
		if b.successes["first"] != 1 || b.successes["second"] != 1 {
			t.Errorf("recorded as delivered: %v, want each once", b.successes)
		}
	})
}
