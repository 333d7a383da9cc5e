package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gridgate/internal/backup"
	"gridgate/internal/disk"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/state"
)

// Before a newer program changes the schema of the state it keeps the state as it is, in
// data_dir/upgrades. Going back puts that in place again. The journal stays where it is: the
// older program reads from its cursor on what was taken since, and comes to the same alarms
// and tickets, under the same ids. What persons did since is in no journal: see Return.

const (
	upgradesDir  = "upgrades"
	pointName    = "point.json"
	checkpoint   = "soft.ckpt" // of the engine: an older program does not read a newer one
	keptPoints   = 2
	returnedName = "given-up.json"
	upgradeForm  = "20060102T150405Z"
)

// ReturnPoint is a state that was kept before an upgrade.
type ReturnPoint struct {
	Folder  string    `json:"folder"`
	At      time.Time `json:"at"`
	From    int64     `json:"from"` // schema
	To      int64     `json:"to"`
	Program string    `json:"program"` // that made the upgrade
	Journal int       `json:"journal"` // form of its segments then
	Term    uint32    `json:"term"`    // of the folder then
	Done    bool      `json:"done"`    // every step was made
	Back    bool      `json:"back"`    // it was gone back to

	Cursors [grid.Lanes]uint64 `json:"cursors"`
	Why     string             `json:"why,omitempty"` // there is no way back to it; "" : there is
}

// migrate brings the state to the present schema: after keeping it, while frames are taken.
func (g *Gateway) migrate(ctx context.Context) error {
	c := &g.cfg
	s, err := c.Schema(ctx)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if s.Have == 0 || s.Pending == 0 {
		return nil // made anew by Open, or nothing to do
	}
	g.steps.Store(uint64(s.Pending))
	var page *earlyPage
	if page, err = g.startPage(); err != nil {
		return err
	}
	err = g.makeSteps(ctx, s)
	if page != nil {
		var bad error
		g.listener, bad = page.stop()
		err = errors.Join(err, bad)
	}
	return err
}

// makeSteps keeps the state, lets frames in, and makes the steps.
func (g *Gateway) makeSteps(ctx context.Context, s state.Schema) error {
	c := &g.cfg
	point, err := c.keepState(ctx, s)
	if err != nil {
		return fmt.Errorf("upgrade: the state cannot be kept before its steps: %w", err)
	}
	g.log.Info("state is brought to a newer schema; `gridgate upgrade return` goes back", "from", s.Have, "to", s.Want, "steps", s.Pending, "kept", point.Folder)
	if !c.Simulation.Allowed { // a simulated city's clock is in the state
		if err := g.startEarly(ctx); err != nil {
			return err
		}
	}
	err = state.Migrate(ctx, c.StatePath(), func(done, of int) {
		g.steps.Store(uint64(done)<<32 | uint64(of))
		if done < of {
			g.log.Info("migrating", "step", done+1, "of", of)
		}
	})
	if err != nil {
		return fmt.Errorf("upgrade of the state: %w; the next start goes on with it", err)
	}
	point.Done = true
	return point.write()
}

func (p *ReturnPoint) write() error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return backup.Replace(filepath.Join(p.Folder, pointName), append(b, '\n'))
}

// keepState copies what an older program needs, if that was not done before a crash.
func (c *Config) keepState(ctx context.Context, s state.Schema) (*ReturnPoint, error) {
	points, err := c.returnPoints()
	if err != nil {
		return nil, err
	}
	if n := len(points); n > 0 && !points[n-1].Done && points[n-1].To == s.Want {
		return &points[n-1], nil
	}
	at := time.Now().UTC()
	p := &ReturnPoint{Folder: filepath.Join(c.DataDir, upgradesDir, at.Format(upgradeForm)), At: at, From: s.Have, To: s.Want, Program: Version, Journal: journal.Format}
	if st, err := c.readStanding(); err == nil && st != nil {
		p.Term = st.Term
	}
	if err := os.MkdirAll(p.Folder, 0o700); err != nil {
		return nil, err
	}
	for _, path := range []string{c.StatePath(), c.accountsFile()} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := state.CopyFile(ctx, path, filepath.Join(p.Folder, filepath.Base(path))); err != nil {
			return nil, err
		}
	}
	soft := filepath.Join(c.DataDir, checkpoint)
	if err := copyFile(soft, filepath.Join(p.Folder, checkpoint)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d, err := state.DigestOf(ctx, filepath.Join(p.Folder, "state.db"), "ledger")
	if err != nil {
		return nil, err
	}
	for lane, pos := range d.Progress.Cursors {
		p.Cursors[lane] = pos.Seq
	}
	if err := errors.Join(p.write(), syncDir(filepath.Dir(p.Folder)), syncDir(c.DataDir)); err != nil {
		return nil, err
	}
	return p, c.forgetPoints(append(points, *p))
}

// forgetPoints keeps the newest.
func (c *Config) forgetPoints(points []ReturnPoint) error {
	for len(points) > keptPoints {
		if err := os.RemoveAll(points[0].Folder); err != nil {
			return err
		}
		points = points[1:]
	}
	return nil
}

// returnPoints reads those that are whole, oldest first.
func (c *Config) returnPoints() (out []ReturnPoint, err error) {
	dir := filepath.Join(c.DataDir, upgradesDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		b, bad := os.ReadFile(filepath.Join(dir, e.Name(), pointName))
		if bad != nil {
			continue // a crash came before it was whole
		}
		p := ReturnPoint{}
		if bad := json.Unmarshal(b, &p); bad != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), bad)
		}
		p.Folder = filepath.Join(dir, e.Name())
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b ReturnPoint) int { return strings.Compare(a.Folder, b.Folder) })
	return out, err
}

// UpgradeStatus is which programs have worked on a data folder, and what there is to go back to.
type UpgradeStatus struct {
	Schema   state.Schema    `json:"schema"`
	Programs []state.Program `json:"programs"` // the latest first
	Points   []ReturnPoint   `json:"points"`   // oldest first
}

// UpgradeStatus reads it; a gateway may run.
func (c *Config) UpgradeStatus(ctx context.Context) (u UpgradeStatus, err error) {
	if u.Schema, err = c.Schema(ctx); err != nil {
		return u, err
	}
	if u.Schema.Have == 0 {
		return u, grid.Errorf(grid.NotFound, "no state in %s", c.DataDir)
	}
	if u.Points, err = c.returnPoints(); err != nil {
		return u, err
	}
	for i := range u.Points {
		u.Points[i].Why = c.noWayBack(&u.Points[i])
	}
	if u.Schema.Pending > 0 {
		return u, nil
	}
	store, err := state.OpenReadOnly(ctx, c.StatePath(), nil)
	if err != nil {
		return u, err
	}
	defer store.Close()
	u.Programs, err = store.Programs(ctx)
	return u, err
}

// noWayBack says in plain words why a state cannot be gone back to; "" when it can.
func (c *Config) noWayBack(p *ReturnPoint) string {
	if p.Back {
		return "it was gone back to already"
	}
	st, err := c.readStanding()
	if err != nil {
		return err.Error()
	}
	if st != nil && p.Term != 0 && st.Term != p.Term {
		return fmt.Sprintf("the folder was restored or promoted since (term %d, then %d): positions in the journal mean other frames now", st.Term, p.Term)
	}
	if p.Journal < journal.Format {
		return fmt.Sprintf("frames taken since are in journal form %d, the older program reads %d", journal.Format, p.Journal)
	}
	frames, err := journal.OpenReadOnly(c.JournalDir(), nil)
	if err != nil {
		return err.Error()
	}
	defer frames.Close()
	for lane := range grid.Lane(grid.Lanes) {
		if first := frames.First(lane); first > p.Cursors[lane]+1 {
			return fmt.Sprintf("frames %d to %d of the %s lane, taken since, are not kept any more: going back would lose what they led to", p.Cursors[lane]+1, first-1, lane)
		}
	}
	return ""
}

// Returned is what going back came to.
type Returned struct {
	Point   ReturnPoint        `json:"point"`
	Again   [grid.Lanes]uint64 `json:"again"`    // frames per lane that the older program takes from the journal
	GivenUp state.Since        `json:"given_up"` // what no journal has
	List    string             `json:"list"`     // file with it
}

// Return puts the state before the last upgrade in place. The gateway must not run. What
// persons and units did since cannot be made again from the journal: with giveUp false it is
// refused if there is any. The newer state and a list of the deeds are kept beside the point.
func (c *Config) Return(ctx context.Context, giveUp bool) (Returned, error) {
	r, err := c.goBack(ctx, giveUp)
	if err != nil {
		return r, fmt.Errorf("upgrade return: %w", err)
	}
	return r, nil
}

func (c *Config) goBack(ctx context.Context, giveUp bool) (r Returned, err error) {
	lock, err := disk.Machine{}.Lock(filepath.Join(c.JournalDir(), "LOCK"))
	if errors.Is(err, disk.ErrLocked) {
		return r, grid.Errorf(grid.Conflict, "a gateway runs on %s: stop it first", c.DataDir)
	} else if err != nil {
		return r, err
	}
	defer lock.Close()
	points, err := c.returnPoints()
	if err != nil {
		return r, err
	}
	if len(points) == 0 {
		return r, grid.Errorf(grid.NotFound, "there is no state from before an upgrade in %s", filepath.Join(c.DataDir, upgradesDir))
	}
	p := &points[len(points)-1]
	if r.Point, p.Why = *p, c.noWayBack(p); p.Why != "" {
		return r, grid.Errorf(grid.Conflict, "there is no way back to the state of %s: %s", p.At.Format(time.RFC3339), p.Why)
	}
	if r.GivenUp, err = state.SinceOf(ctx, c.StatePath(), p.At); err != nil {
		return r, err
	}
	if n := len(r.GivenUp.Deeds); !giveUp && (n > 0 || r.GivenUp.Registry > 0) {
		return r, grid.Errorf(grid.Conflict, "since the upgrade persons and units have moved tickets %d times and changed the registry %d times, which the journal does not have: "+
			"--give-up-deeds goes back without, and leaves a list of them", n, r.GivenUp.Registry)
	}
	if err := c.countAgain(p, &r); err != nil {
		return r, err
	}
	return r, c.swap(ctx, p, &r)
}

func (c *Config) countAgain(p *ReturnPoint, r *Returned) error {
	frames, err := journal.OpenReadOnly(c.JournalDir(), nil)
	if err != nil {
		return err
	}
	defer frames.Close()
	for lane := range grid.Lane(grid.Lanes) {
		r.Again[lane] = frames.Head(lane).Seq - min(frames.Head(lane).Seq, p.Cursors[lane])
	}
	return nil
}

// swap goes back. Each step leaves a folder that both programs can start on: the older
// checkpoint goes with either state, and the state changes by one rename.
func (c *Config) swap(ctx context.Context, p *ReturnPoint, r *Returned) error {
	b, err := json.MarshalIndent(r.GivenUp, "", "  ")
	if err != nil {
		return err
	}
	r.List = filepath.Join(p.Folder, returnedName)
	if err := backup.Replace(r.List, append(b, '\n')); err != nil {
		return err
	}
	newer := filepath.Join(p.Folder, "newer-state.db")
	if err := os.Remove(newer); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := state.CopyFile(ctx, c.StatePath(), newer); err != nil {
		return err
	}
	soft := filepath.Join(c.DataDir, checkpoint)
	if err := os.Remove(soft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := copyFile(filepath.Join(p.Folder, checkpoint), soft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // none: the older program reads all that the journal keeps
	}
	next := c.StatePath() + ".returning"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := copyFile(filepath.Join(p.Folder, "state.db"), next); err != nil {
		return err
	}
	// CopyFile has folded nothing: what is beside the newer state belongs to it, and is in its copy.
	for _, beside := range []string{"-wal", "-shm"} {
		if err := os.Remove(c.StatePath() + beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := errors.Join(os.Rename(next, c.StatePath()), syncDir(c.DataDir)); err != nil {
		return err
	}
	p.Back = true
	return p.write()
}
