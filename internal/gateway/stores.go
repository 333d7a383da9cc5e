package gateway

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gridgate/internal/evidence"
	"gridgate/internal/journal"
	"gridgate/internal/state"
)

// The files under the gateway: state, evidence, journal.

func (g *Gateway) openStores(ctx context.Context) error {
	c := &g.cfg
	var err error
	found, err := c.Schema(ctx)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := g.migrate(ctx); err != nil {
		return err
	}
	if g.store, err = state.Open(ctx, c.StatePath(), g.log); err != nil {
		return err
	}
	if err := state.NoteProgram(ctx, c.StatePath(), state.Program{At: time.Now(), Program: Version, Found: found.Have, Schema: state.LatestVersion()}); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	g.tiles = newTiles(g.store.Marks)
	g.closers = append(g.closers, g.store.Close)
	if g.files, err = evidence.Open(c.EvidenceDir()); err != nil {
		return err
	}
	if err := g.startClock(ctx); err != nil {
		return err
	}
	if g.journal != nil { // it takes frames already
		return nil
	}
	return g.openJournal()
}

func (g *Gateway) openJournal() error {
	c := &g.cfg
	restored, err := c.restored()
	if err != nil {
		return err
	}
	j := c.Journal
	g.journal, err = journal.Open(filepath.Join(c.DataDir, "journal"), journal.Options{
		SegmentBytes: int64(j.SegmentBytes), SegmentAge: j.SegmentAge,
		RetainAge: time.Duration(j.RetainDays) * 24 * time.Hour, RetainBytes: int64(j.RetainBytes), ReserveBytes: int64(j.ReserveBytes),
		MinFreeBulk: int64(j.MinFreeBulk), MinFreeSafety: int64(j.MinFreeSafety), Log: g.log,
		RaiseEpoch: restored, Now: g.clock.Now,
	})
	if err != nil {
		return err
	}
	g.closers = append(g.closers, g.journal.Close)
	if restored {
		g.log.Info("data folder was restored from a backup: the journal has a new epoch")
		return os.Remove(filepath.Join(c.DataDir, restoredMark))
	}
	return nil
}
