package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gridgate/internal/grid"
)

// WatchdogConfig is a watchdog elsewhere that is told that the gateway works. One that hears
// nothing for longer than two or three times every calls somebody.
type WatchdogConfig struct {
	URL   string        `yaml:"url"`   // takes a POST of JSON; "": none is told
	Every time.Duration `yaml:"every"` //
}

func defaultWatchdog() WatchdogConfig { return WatchdogConfig{Every: time.Minute} }

func (c *WatchdogConfig) validate(v *problems) {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		v.want(err == nil && u.Host != "" && oneOf(u.Scheme, "http", "https"), "watchdog.url is %q: want https://…", c.URL)
	}
	v.want(c.Every >= time.Second && c.Every <= time.Hour, "watchdog.every is %s: want 1s to 1h", c.Every)
}

// Heartbeat is what the watchdog is told.
type Heartbeat struct {
	State   string            `json:"state"` // "ok", or "degraded": works, and something is wrong
	At      time.Time         `json:"at"`
	Started time.Time         `json:"started"`
	Version string            `json:"version"`
	Wrong   map[string]string `json:"wrong,omitempty"` // by part
}

// heart is how the last heartbeats went.
type heart struct {
	sent, failed atomic.Int64
	silent       atomic.Bool // the last did not arrive
	pulse        atomic.Pointer[time.Time]
	jump         atomic.Pointer[clockJump]
	jumps        atomic.Int64
}

// Alive is nil while the gateway makes progress: of late the engine has taken a turn and
// committed it, and no lane of the journal has failed. A disk that takes nothing is trouble of
// which health tells, and no reason to start again: smoke is told from memory meanwhile.
func (g *Gateway) Alive() error {
	last := g.heart.pulse.Load()
	if last == nil {
		return grid.Errorf(grid.Unavailable, "gateway is starting")
	}
	if still := time.Since(*last); still > pulseMost && g.clock.Real(g.clock.Since(g.engine.Stats().FailedAt)) > pulseMost {
		return grid.Errorf(grid.Unavailable, "the engine has made no progress for %s", still.Round(time.Second))
	}
	for lane, s := range g.journal.Stats().Lanes {
		if s.Failed != "" {
			return fmt.Errorf("journal.%s: %s", grid.Lane(lane), s.Failed)
		}
	}
	return nil
}

const (
	pulseEvery = 5 * time.Second
	pulseMost  = 45 * time.Second // without a turn, on a machine that is very busy
	jumpLeast  = 10 * time.Second // of the clock, to be told of; the engine takes it so from there on too
	jumpStands = 10 * time.Minute // in the health view
)

// feel takes the engine's pulse, and notices when our clock is set.
func (g *Gateway) feel(ctx context.Context) error {
	select {
	case <-g.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	look := g.clock.Watch()
	for lastWall, lastPassed := look(); ; {
		if _, err := g.engine.Posture(ctx); err == nil {
			now := time.Now()
			g.heart.pulse.Store(&now)
		}
		wall, passed := look()
		if by := wall.Round(0).Sub(lastWall.Round(0)) - (passed - lastPassed); by.Abs() >= jumpLeast {
			g.heart.jumps.Add(1)
			g.heart.jump.Store(&clockJump{at: time.Now(), by: by.Round(time.Second)})
			g.log.Warn("the machine's clock was set", "by", by.Round(time.Second))
		}
		lastWall, lastPassed = wall, passed
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// clockJump is how the machine's clock was set while the gateway ran.
type clockJump struct {
	at time.Time
	by time.Duration
}

// clockProblem says for a while that the clock was set.
func (g *Gateway) clockProblem() error {
	j := g.heart.jump.Load()
	if j == nil || time.Since(j.at) > jumpStands {
		return nil
	}
	way := "forward"
	if j.by < 0 {
		way = "back"
	}
	return fmt.Errorf("the machine's clock went %s by %s at %s: deadlines were moved with it; look at its time service (timedatectl)", way, j.by.Abs(), j.at.UTC().Format(time.RFC3339))
}

// engineProblem is nil from the start until the engine stands still.
func (g *Gateway) engineProblem() error {
	last := g.heart.pulse.Load()
	if last == nil || time.Since(*last) <= pulseMost {
		return nil
	}
	return fmt.Errorf("has made no progress for %s", time.Since(*last).Round(time.Second))
}

func (g *Gateway) heartMetrics(send sender) {
	if last := g.heart.pulse.Load(); last != nil {
		send(prometheus.GaugeValue, "engine_pulse_age_seconds", "Since the engine last answered that it takes turns.", time.Since(*last).Seconds())
	}
	send(prometheus.CounterValue, "clock_jumps_total", "How often the machine's clock was set by 10 s or more since start.", float64(g.heart.jumps.Load()))
	if g.cfg.Watchdog.URL != "" {
		send(prometheus.CounterValue, "watchdog_sent_total", "Heartbeats that the watchdog took.", float64(g.heart.sent.Load()))
		send(prometheus.CounterValue, "watchdog_failed_total", "Heartbeats that it did not take, or that there was no progress for.", float64(g.heart.failed.Load()))
	}
}

// beat tells the watchdog, for as long as there is progress to tell of.
func (g *Gateway) beat(ctx context.Context) error {
	c := g.cfg.Watchdog
	if c.URL == "" {
		return nil
	}
	client := &http.Client{Timeout: min(c.Every, 15*time.Second)}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for {
		if err := g.beatOnce(ctx, client); err != nil && ctx.Err() == nil {
			g.heart.failed.Add(1)
			if !g.heart.silent.Swap(true) {
				g.log.Error("the watchdog is not told", "err", err)
			}
		} else if err == nil {
			g.heart.sent.Add(1)
			g.heart.silent.Store(false)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (g *Gateway) beatOnce(ctx context.Context, client *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 2*g.cfg.Watchdog.Every)
	defer cancel()
	if err := g.Alive(); err != nil {
		return err
	}
	h := Heartbeat{State: "ok", At: time.Now().UTC(), Started: g.started.UTC(), Version: Version}
	parts := g.health(ctx)
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		if err := parts[part]; err != nil {
			if h.Wrong == nil {
				h.State, h.Wrong = "degraded", map[string]string{}
			}
			h.Wrong[part] = err.Error()
		}
	}
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.cfg.Watchdog.URL, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		if u, is := errors.AsType[*url.Error](err); is { // its address may hold a key
			err = u.Err
		}
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)); err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", res.Status)
	}
	return nil
}
