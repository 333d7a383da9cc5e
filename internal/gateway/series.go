package gateway

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gridgate/internal/cert"
	"gridgate/internal/influx"
	"gridgate/internal/journal"
)

// series is the InfluxDB queue as the engine has it: when the disk runs low it is the
// first thing that stops growing, so that frames and tickets have what is left. The
// engine then notes a gap and fills it from the journal.
type series struct {
	*influx.Queue
	disk func() journal.Space
	mark int64 // bytes; 0: by the disk's size
}

func (s *series) Append(lines []byte) (influx.Mark, error) {
	if space := s.disk(); space.Total > 0 && space.Free < s.minFree(space.Total) {
		return influx.Mark{}, influx.ErrQueueFull
	}
	return s.Queue.Append(lines)
}

// minFree is twice what stops bulk frames: 1 GiB, at most a fifth of the disk.
func (s *series) minFree(total int64) int64 {
	if s.mark != 0 {
		return s.mark
	}
	return min(1<<30, total/5)
}

func (g *Gateway) openInflux(ctx context.Context) error {
	c := &g.cfg
	if !c.Influx.Managed && c.Influx.URL == "" {
		return nil
	}
	p, err := g.store.Progress(ctx)
	if err != nil {
		return err
	}
	g.queue, err = influx.OpenQueue(filepath.Join(c.DataDir, "influx-queue"), influx.QueueOptions{MaxBytes: int64(c.Influx.QueueBytes), CursorEvery: g.clock.City(time.Second), Now: g.clock.Now, Log: g.log})
	if err != nil {
		return err
	}
	g.closers = append(g.closers, g.queue.Close)
	var lost *influx.LostError
	if err := g.queue.Cut(influx.Mark(p.InfluxMark)); errors.As(err, &lost) {
		g.queueLost = true
		g.log.Error("part of the influxdb queue is lost, points are made anew from the journal", "err", err)
	} else if err != nil {
		return err
	}
	cfg := influx.Config{URL: c.Influx.URL, Org: c.Influx.Org, Bucket: c.Influx.Bucket}
	if c.Influx.TokenFile != "" {
		token, err := os.ReadFile(c.Influx.TokenFile)
		if err != nil {
			return fmt.Errorf("influx.token_file: %w", err)
		}
		cfg.Token = string(trimmed(token))
	}
	if c.Influx.Managed {
		g.server, err = influx.OpenServer(influx.ServerConfig{Bin: c.Influx.Bin, Dir: filepath.Join(c.DataDir, "influxdb"), HTTPAddr: c.Influx.Listen}, g.log)
		if err != nil {
			return err
		}
		cfg.URL = g.server.URL()
	}
	if cfg.TLS, err = cert.Trusting(c.Influx.CA); err != nil {
		return fmt.Errorf("influx.ca: %w", err)
	}
	if g.client, err = influx.NewClient(cfg); err != nil {
		return err
	}
	g.closers = append(g.closers, func() error { g.client.Close(); return nil })
	g.writer = influx.NewWriter(g.client, g.queue, func(ctx context.Context, r influx.Rejected) error {
		return g.engine.RejectedPoint(ctx, []byte(r.Line), r.Reason)
	}, influx.WriterOptions{Log: g.log, Told: g.writerTraces()})
	return nil
}

func trimmed(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r' || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return b
}
