package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/privacy"
	"gridgate/internal/state"
)

// faces is the engine as the API sees it.
type faces struct {
	*engine.Engine
	g *Gateway
}

// Ledger is the count as of the last commit: rows and cursors are of one moment, the
// journal's heads are of now.
func (f faces) Ledger(ctx context.Context) (grid.Ledger, error) {
	p, err := f.g.store.Progress(ctx)
	if err != nil {
		return grid.Ledger{}, err
	}
	l := grid.Ledger{Rows: p.Ledger}
	for lane := range l.Accepted {
		l.Accepted[lane] = int64(f.g.journal.Head(grid.Lane(lane)).Seq)
		l.Waiting[lane] = l.Accepted[lane] - int64(p.Cursors[lane].Seq)
	}
	l.Lost = f.g.lost()
	return l, nil
}

// lost counts frames of wires that cannot be refused and that were given up.
func (g *Gateway) lost() (n int64) {
	if g.broker != nil {
		n += int64(g.broker.Status().LostUnackable)
	}
	for _, t := range g.mqtt {
		n += int64(t.Status().LostUnackable)
	}
	for _, t := range g.serial {
		n += int64(t.Status().LostUnackable)
	}
	if g.coap != nil {
		n += int64(g.coap.Status().LostUnackable)
	}
	return n
}

// history reads a signal's past back from InfluxDB.
func (g *Gateway) history(ctx context.Context, q api.HistoryQuery) ([]api.Sample, error) {
	if g.classOf(&q.Point).Doors != privacy.Exact {
		return g.coarse(ctx, q)
	}
	spec := grid.Signals[q.Signal]
	m := spec.Measurement
	if m == "" {
		m = string(q.Point.Kind)
	}
	got, err := g.client.History(ctx, influx.HistoryQuery{Point: q.Point.ID, Measurement: m, Field: spec.Field, From: q.From, To: q.To, Limit: q.Limit})
	if err != nil {
		return nil, err
	}
	out := make([]api.Sample, len(got))
	for i, s := range got {
		out[i] = api.Sample{At: s.At, Value: s.Value}
	}
	return out, nil
}

// health names each part and what is wrong with it.
func (g *Gateway) health(context.Context) map[string]error {
	parts := map[string]error{"engine": g.engineProblem(), "clock": g.clockProblem(), "credentials": g.credentials.problem(), "audit": g.audit.Fault()}
	for lane, s := range g.journal.Stats().Lanes {
		name := "journal." + grid.Lane(lane).String()
		switch {
		case s.Failed != "":
			parts[name] = errors.New(s.Failed)
		case s.Refusing:
			parts[name] = errors.New("refuses frames: the disk is nearly full")
		case s.Troubled != "":
			parts[name] = fmt.Errorf("no frame is acknowledged, the disk takes nothing (%s): look at it and its mount (dmesg, mount); smoke is told from memory", s.Troubled)
		default:
			parts[name] = nil
		}
	}
	if g.writer != nil {
		parts["influxdb"] = nil
		if s := g.writer.Status(); !s.Up && s.LastError != "" {
			parts["influxdb"] = errors.New(s.LastError)
		}
	}
	if g.secured != nil {
		parts["tls"] = g.secured.problem()
	}
	if g.cfg.Backup.Dir != "" {
		parts["backup"] = g.backups.problem()
	}
	g.traceProblem(parts)
	g.outboxProblem(parts)
	g.linkProblems(parts)
	return parts
}

// upkeepEvery is how often limits are looked at.
const upkeepEvery = time.Minute

// retained is what of the state may go by now: nobody repeats a command after a month,
// or asks after a frame that was replayed or discarded a season ago.
func retained(now time.Time) state.Retain {
	return state.Retain{Applied: now.AddDate(0, -1, 0), Quarantine: now.AddDate(0, -3, 0), Down: now.AddDate(0, -1, 0), Downlinks: now.AddDate(0, 0, -90)}
}

// upkeep keeps the quarantine within its limits and tells the engine which transports
// could not hear.
func (g *Gateway) upkeep(ctx context.Context) error {
	select {
	case <-g.engine.Ready():
	case <-ctx.Done():
		return nil
	}
	down := make(map[string]time.Time)
	limits := time.NewTicker(upkeepEvery)
	defer limits.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-limits.C:
			if n, err := g.engine.PruneQuarantine(ctx); err != nil {
				g.log.Error("quarantine cannot be pruned", "err", err)
			} else if n > 0 {
				g.log.Warn("quarantine was full, its oldest frames are given up", "in", n)
			}
			if _, err := g.store.Prune(ctx, retained(g.clock.Now())); err != nil {
				g.log.Error("state cannot be pruned", "err", err)
			}
		case <-look.C:
			g.noteDown(ctx, down)
		}
	}
}

// noteDown tells the engine when a connection ends and when it is back: silence in
// between is nobody's fault behind it.
func (g *Gateway) noteDown(ctx context.Context, down map[string]time.Time) {
	for source, l := range paths(g.links()) {
		from, was := down[source]
		var err error
		switch {
		case !l.Up && !was:
			down[source] = l.Since
			err = g.engine.Down(ctx, source, l.Since, time.Time{})
		case l.Up && was:
			delete(down, source)
			g.outbox.Up(source)
			err = g.engine.Down(ctx, source, from, l.Since)
		}
		if err != nil && ctx.Err() == nil {
			g.log.Error("outage of a transport is not noted", "transport", source, "err", err)
		}
	}
}
