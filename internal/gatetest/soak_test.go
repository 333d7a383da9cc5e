package gatetest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"gridgate/internal/api"
)

// soakRate is how many frames a second the fleets of a soak send: few enough that an hour of a
// device fits into one page of its frames, which the last check reads.
const soakRate = 30

// soakBlow is what befalls a soak, and how often, of a hundred.
type soakBlow struct {
	name string
	of   int
	do   func(*testing.T, *chaos)
}

func soakBlows() []soakBlow {
	return []soakBlow{
		{"kill -9 of the gateway", 45, func(t *testing.T, c *chaos) {
			c.gateway.Kill()
			c.gateway.Start(t)
		}},
		{"kill -9 of the gateway, twice", 10, func(t *testing.T, c *chaos) {
			c.gateway.Kill()
			c.gateway.Start(t)
			c.gateway.Kill() // while it starts
			c.gateway.Start(t)
		}},
		{"restart of mosquitto", 20, func(t *testing.T, c *chaos) {
			c.mosquitto.Stop(t)
			c.mosquitto.Start(t)
		}},
		{"InfluxDB goes, or comes", 25, func(t *testing.T, c *chaos) {
			if c.influx.Ended() {
				c.influx.Start(t)
			} else {
				c.influx.Kill()
			}
		}},
	}
}

// TestASoakKeepsTheLedgerBalanced is "make soak": a gateway in use for as long as
// GRIDGATE_TEST_SOAK says, with a blow every few seconds by GRIDGATE_TEST_SEED, units that are
// deaf and flaky, and the ledger looked at every minute.
func TestASoakKeepsTheLedgerBalanced(t *testing.T) {
	given := os.Getenv("GRIDGATE_TEST_SOAK")
	if given == "" {
		t.Skip("a soak takes an hour: make soak")
	}
	length, err := time.ParseDuration(given)
	if err != nil || length < time.Minute {
		t.Fatalf("GRIDGATE_TEST_SOAK is %q: want a time from 1m, such as 1h", given)
	}
	s := size(t)
	s.length = length
	s.frames = int(min(soakRate*length.Seconds(), 110_000)) / 2 * 2
	c := startChaos(t, s)
	began := time.Now()
	blows := map[string]int{}
	rng := rand.New(rand.NewPCG(s.seed, 0x736f616b))
	for minute := 1; time.Since(began) < length; minute++ {
		for end := began.Add(time.Duration(minute) * time.Minute); time.Now().Before(end); {
			time.Sleep(time.Duration(4+rng.IntN(16)) * time.Second) // real: other processes work meanwhile
			b := chosen(rng.IntN(100))
			b.do(t, c)
			blows[b.name]++
		}
		c.gateway.wait(t)
		c.soakMinute(t, minute, blows)
	}
	if c.influx.Ended() {
		c.influx.start(t)
	}
	for _, f := range c.fleets {
		f.end(t)
	}
	c.gateway.wait(t)
	c.checkLedger(t)
	for _, f := range c.fleets {
		c.checkJournal(t, f)
		c.checkInflux(t, f)
	}
	c.checkTickets(t)
	c.checkDeliveries(t)
	c.checkRegistry(t)
	verdict := "nothing lost, nothing doubled"
	if t.Failed() {
		verdict = "it FAILED"
	}
	t.Logf("soak of %s, seed %d: %d frames, %v: %s", length, s.seed, s.frames, blows, verdict)
}

func chosen(n int) soakBlow {
	all := soakBlows()
	for _, b := range all {
		if n -= b.of; n < 0 {
			return b
		}
	}
	return all[0]
}

// soakMinute looks at the ledger, in which no frame may be without an end for long.
func (c *chaos) soakMinute(t *testing.T, minute int, blows map[string]int) {
	t.Helper()
	var l api.Ledger
	eventually(t, 30*time.Second, "the ledger to balance", func() (err error) {
		if l, err = c.gateway.api.Ledger(t.Context()); err == nil && (!l.Balanced || l.Lost > 0) {
			err = fmt.Errorf("it is %+v", l)
		}
		return err
	})
	processed, duplicate, ignored, quarantined, accepted := sum(l)
	t.Logf("minute %d: %d accepted = %d processed + %d duplicate + %d ignored + %d in quarantine, on their way %d; %v",
		minute, accepted, processed, duplicate, ignored, quarantined, accepted-processed-duplicate-ignored-quarantined, blows)
}
