package engine

import (
	"errors"
	"io/fs"
	"math"
	"strings"
	"testing"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
	"gridgate/internal/influx"
	"gridgate/internal/state"
)

// plant is a bug that a test puts into a node. The product has no way to ask for one.
type plant struct {
	disk    func(disk.FS) disk.FS
	commit  func(state.Batch) state.Batch
	cut     func(*influx.Queue, influx.Mark) error
	started func(*node) error
}

// deafDisk does as if it had synced.
type deafDisk struct {
	disk.FS
	files, dirs bool // which it does not sync
}

type deafFile struct{ disk.File }

func (deafFile) SyncData() error { return nil }

func (d deafDisk) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	if err == nil && d.files && strings.Contains(name, ".seg") {
		f = deafFile{f}
	}
	return f, err
}

func (d deafDisk) SyncDir(name string) error {
	if d.dirs {
		return nil
	}
	return d.FS.SyncDir(name)
}

// plants are what chaos must find.
func plants() map[string]plant {
	return map[string]plant{
		"acknowledge before fsync": {disk: func(f disk.FS) disk.FS { return deafDisk{FS: f, files: true} }},
		"leave renames unsynced":   {disk: func(f disk.FS) disk.FS { return deafDisk{FS: f, dirs: true} }},
		"forget the cursor": {commit: func(b state.Batch) state.Batch {
			b.Cursors = [grid.Lanes]grid.Pos{}
			return b
		}},
		"forget the key of a command": {commit: func(b state.Batch) state.Batch {
			b.Commands = nil
			return b
		}},
		"forget the attempts of a delivery": {commit: func(b state.Batch) state.Batch {
			b.Attempts = nil
			return b
		}},
		"close a ticket on recovery":    {started: closeOne},
		"leave the InfluxDB queue long": {cut: cutNothing},
	}
}

// closeOne closes an open ticket, as a start might that takes it for ended.
func closeOne(n *node) error {
	_, err := n.engine.do(n.ctx, &command{name: "plant", do: func(b *batch) (any, error) {
		first := ""
		for id := range b.e.tickets {
			if first == "" || id < first {
				first = id
			}
		}
		if first != "" {
			b.changeTicket(first).State = grid.TicketClosed
		}
		return nil, nil
	}})
	return err
}

// cutNothing leaves what an uncommitted batch has put into the queue.
func cutNothing(q *influx.Queue, m influx.Mark) error {
	var lost *influx.LostError
	if err := q.Cut(influx.Mark{Segment: m.Segment + 1, Offset: math.MaxInt64}); err != nil && !errors.As(err, &lost) {
		return err
	}
	return nil
}

// plantedWithin is how many seeds may pass before a planted bug is found.
const plantedWithin = 200

func TestChaosFindsEachPlantedBug(t *testing.T) {
	b := newChaosBench(t)
	for name, p := range plants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= plantedWithin; seed++ {
				if c := b.disturbed(t, seed, p); len(c.wrong) > 0 {
					t.Logf("found by seed %d: %s", seed, strings.SplitN(c.wrong[0], "\n", 2)[0])
					return
				}
			}
			t.Errorf("not found by %d seeds", plantedWithin)
		})
	}
}
