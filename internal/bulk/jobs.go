package bulk

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// Store is what has been committed.
type Store interface {
	Registry
	Import(ctx context.Context, id string) (grid.Import, error)
	BusyImports(ctx context.Context) ([]grid.Import, error)
	ImportPieces(ctx context.Context, id string) ([]int, error)
	ImportWas(ctx context.Context, id string, n int) ([]byte, error)
	ImportKept(ctx context.Context, id string, most int) ([]grid.ImportProblem, error)
	InstallationsOf(ctx context.Context, devices []grid.Identity) ([]grid.Installation, error)
	UsesOf(ctx context.Context, points []string, devices []grid.Identity) (map[string]grid.Text, error)
	EachPoint(ctx context.Context, scope grid.Scope, fn func(*grid.Point) error) error
	EachDevice(ctx context.Context, scope grid.Scope, fn func(*grid.Device) error) error
	EachInstallation(ctx context.Context, scope grid.Scope, fn func(*grid.Installation) error) error
	EachBuilding(ctx context.Context, scope grid.Scope, fn func(*grid.Building) error) error
}

// Engine is what changes the registry. Each call is durable when it returns nil.
type Engine interface {
	RegistryNo() uint64
	AddImport(ctx context.Context, m grid.Import, key string) (grid.Import, error)
	MoveImport(ctx context.Context, m grid.Import, action string, by grid.Actor, from ...grid.ImportState) (grid.Import, error)
	PutImported(ctx context.Context, p grid.ImportPiece) (grid.Import, error)
	UndoImported(ctx context.Context, u grid.ImportUndo) (grid.Import, error)
	Heard(ctx context.Context, devices []grid.Identity) ([]grid.Identity, error)
}

// Config is what Jobs stand on.
type Config struct {
	Dir     string // for the sheets and what was found in them
	Store   Store
	Engine  Engine
	Profile func(id string) (full string, err error)
	Place   func(p *grid.Point) error // the one way of a position into the registry
	Now     func() time.Time          // nil is time.Now
	Log     *slog.Logger              // nil discards
}

// The bounds of the work.
const (
	maxQueue  = 16 // imports that wait or are worked on
	batchRows = 500
	mostSame  = 5000 // rows that change nothing, in one piece
	tries     = 50   // of a piece that another change of the registry has overtaken

	fewestRows, mostRows = 20, 500
	pieceTakes           = 20 * time.Millisecond // what a piece is to take of the state goroutine
)

// Jobs checks, applies and takes back sheets, one at a time, and goes on after a restart.
type Jobs struct {
	Config
	files *files
	all   []column
	wake  chan struct{}

	mu    sync.Mutex
	queue []string
	live  map[string]counts // of what is being checked
}

type counts struct{ rows, bad, same, changed, added int }

func (c *counts) add(v *verdict) {
	c.rows++
	switch v.Result {
	case bad:
		c.bad++
	case same:
		c.same++
	case changed:
		c.changed++
	case added:
		c.added++
	}
}

func (c counts) into(m *grid.Import) {
	m.Rows, m.Bad, m.Same, m.Changed, m.Added = c.rows, c.bad, c.same, c.changed, c.added
	m.Good = m.Same + m.Changed + m.Added
}

// Open makes the folder.
func Open(c Config) (*Jobs, error) {
	f, err := openFiles(c.Dir)
	if err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Jobs{Config: c, files: f, all: columns(), wake: make(chan struct{}, 1), live: map[string]counts{}}, nil
}

// Run works until ctx is done. What it was at is gone on with at the next start.
func (j *Jobs) Run(ctx context.Context) error {
	busy, err := j.Store.BusyImports(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for _, m := range busy {
		j.enqueue(m.ID)
	}
	for {
		id := j.first()
		if id == "" {
			select {
			case <-ctx.Done():
				return nil
			case <-j.wake:
			}
			continue
		}
		err := j.work(ctx, id)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			j.Log.Error("an import is tried again", "err", err, "import", id, "in", time.Second)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second):
			}
			continue
		}
		j.dequeue(id)
	}
}

// work does what an import waits for.
func (j *Jobs) work(ctx context.Context, id string) error {
	m, err := j.Store.Import(ctx, id)
	if err != nil {
		return err
	}
	for m.State.Busy() && err == nil {
		switch m.State {
		case grid.ImportChecking:
			m, err = j.check(ctx, m)
		case grid.ImportApplying:
			m, err = j.apply(ctx, m)
		case grid.ImportUndoing:
			m, err = j.undo(ctx, m)
		}
	}
	if code := grid.CodeOf(err); err == nil || code == grid.Unavailable || ctx.Err() != nil {
		return err
	}
	j.Log.Warn("an import failed", "err", err, "import", id)
	now, readErr := j.Store.Import(ctx, id)
	if readErr != nil {
		return readErr
	}
	now.State, now.Error, now.Ended = grid.ImportFailed, err.Error(), j.Now().UTC()
	_, err = j.Engine.MoveImport(ctx, now, "", grid.Actor{}, m.State)
	return err
}

func (j *Jobs) enqueue(id string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if slices.Contains(j.queue, id) {
		return true
	}
	if len(j.queue) >= maxQueue {
		return false
	}
	j.queue = append(j.queue, id)
	select {
	case j.wake <- struct{}{}:
	default:
	}
	return true
}

func (j *Jobs) full() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) >= maxQueue {
		return grid.Errorf(grid.Unavailable, "%d imports wait already: want some to end first", len(j.queue))
	}
	return nil
}

func (j *Jobs) first() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) == 0 {
		return ""
	}
	return j.queue[0]
}

func (j *Jobs) dequeue(id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = slices.DeleteFunc(j.queue, func(q string) bool { return q == id })
	delete(j.live, id)
}

// Add takes a sheet in. The same key again is the same import.
func (j *Jobs) Add(ctx context.Context, file []byte, m grid.Import, key string) (grid.Import, error) {
	kind, err := ParseKind(string(m.Kind))
	if err != nil {
		return m, err
	}
	if err := j.full(); err != nil {
		return m, err
	}
	if len(file) == 0 || len(file) > MaxBytes {
		return m, grid.Errorf(grid.Invalid, "file has %d bytes: want 1 to %d MiB", len(file), MaxBytes>>20)
	}
	m.SHA256, err = j.files.put(file)
	if err != nil {
		return m, err
	}
	m.Kind, m.State, m.Bytes = kind, grid.ImportChecking, int64(len(file))
	m, err = j.Engine.AddImport(ctx, m, key)
	if err != nil {
		return m, err
	}
	if !j.enqueue(m.ID) {
		return m, j.full()
	}
	return j.Get(ctx, m.ID)
}

// Get gives an import with how far it is now.
func (j *Jobs) Get(ctx context.Context, id string) (grid.Import, error) {
	m, err := j.Store.Import(ctx, id)
	if err != nil {
		return m, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if now, ok := j.live[id]; ok && m.State == grid.ImportChecking {
		now.into(&m)
	}
	return m, nil
}

// Apply puts a sheet that was checked in force.
func (j *Jobs) Apply(ctx context.Context, id string, skipBad bool, by grid.Actor) (grid.Import, error) {
	m, err := j.Store.Import(ctx, id)
	if err != nil {
		return m, err
	}
	switch {
	case m.State == grid.ImportApplying || m.State == grid.ImportApplied:
		return m, nil
	case m.State != grid.ImportChecked:
		return m, grid.Errorf(grid.Conflict, "import %s is %s: want it checked; hand the file in again", id, m.State)
	case m.Bad > 0 && !skipBad:
		return m, grid.Errorf(grid.Conflict, "%d rows are bad: want them mended, or skip_bad=true to apply the %d good ones", m.Bad, m.Good)
	}
	if err := j.full(); err != nil {
		return m, err
	}
	m.SkipBad = skipBad
	m, err = j.Engine.MoveImport(ctx, j.begun(m), "import.apply", by, grid.ImportChecked)
	if err == nil {
		j.enqueue(id)
	}
	return m, err
}

// begun is an import whose rows are about to be put.
func (j *Jobs) begun(m grid.Import) grid.Import {
	now := j.Now().UTC()
	m.State, m.Error, m.Applied, m.Ended, m.Done = grid.ImportApplying, "", now, time.Time{}, 1
	m.Good, m.Bad, m.Same, m.Changed, m.Added = 0, 0, 0, 0, 0
	return m
}

// Undo puts back what an import has changed.
func (j *Jobs) Undo(ctx context.Context, id string, by grid.Actor) (grid.Import, error) {
	m, err := j.Store.Import(ctx, id)
	if err != nil {
		return m, err
	}
	switch m.State {
	case grid.ImportUndoing, grid.ImportUndone:
		return m, nil
	case grid.ImportApplied, grid.ImportFailed:
	default:
		return m, grid.Errorf(grid.Conflict, "import %s is %s: want it applied", id, m.State)
	}
	if err := j.full(); err != nil {
		return m, err
	}
	from := m.State
	m.State, m.Error, m.Done, m.Kept, m.Ended = grid.ImportUndoing, "", 0, 0, time.Time{}
	m, err = j.Engine.MoveImport(ctx, m, "import.undo", by, from)
	if err == nil {
		j.enqueue(id)
	}
	return m, err
}

// check compares a sheet with the registry and changes nothing.
func (j *Jobs) check(ctx context.Context, m grid.Import) (_ grid.Import, err error) {
	c, r, problems, err := j.sheetOf(&m, j.Now().UTC())
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	found, err := j.files.report(m.ID, true)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, found.close(err == nil)) }()
	n := counts{}
	if len(problems) > 0 {
		n.bad++
		found.problems(problems)
	}
	for {
		batch, err := r.batch(batchRows)
		if err != nil {
			return m, err
		}
		if len(batch) == 0 {
			break
		}
		verdicts, err := c.judge(ctx, batch)
		if err != nil {
			return m, grid.Errorf(grid.Unavailable, "%w", err)
		}
		for _, v := range verdicts {
			n.add(v)
			found.row(v)
		}
		j.mu.Lock()
		j.live[m.ID] = n
		j.mu.Unlock()
	}
	if n.rows == 0 {
		return m, grid.Errorf(grid.Invalid, "file has a header and no rows below it")
	}
	n.into(&m)
	return j.checked(ctx, m)
}

// checked says what comes after the check.
func (j *Jobs) checked(ctx context.Context, m grid.Import) (grid.Import, error) {
	m.State, m.Ended = grid.ImportChecked, j.Now().UTC()
	switch {
	case m.DryRun:
	case m.Bad > 0 && !m.SkipBad:
		m.Error = "there are bad rows, so nothing was changed: want them mended, or the import applied with skip_bad=true"
	case m.Changed+m.Added == 0:
		m.State, m.Applied, m.Done = grid.ImportApplied, m.Ended, m.Rows+1
	default:
		m = j.begun(m)
	}
	return j.Engine.MoveImport(ctx, m, "", grid.Actor{}, grid.ImportChecking)
}
