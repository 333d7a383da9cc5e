package bulk

import (
	"context"
	"errors"
	"io"
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

// sheetOf opens a sheet and reads its header.
func (j *Jobs) sheetOf(m *grid.Import, now time.Time) (*checker, *rows, []grid.ImportProblem, error) {
	f, err := j.files.get(m.SHA256)
	if err != nil {
		return nil, nil, nil, err
	}
	known := newLayout(j.all, m.Kind)
	s, err := openSheet(f, m.Bytes, func(h string) bool { return bare(h) != "" && known.find(h) >= 0 })
	if err != nil {
		return nil, nil, nil, errors.Join(err, f.Close())
	}
	r := &rows{sheet: s, file: f}
	row, cells, _, err := s.next()
	if errors.Is(err, io.EOF) {
		err = grid.Errorf(grid.Invalid, "file is empty: want a header row and rows below it")
	}
	if err == nil && row > 20 {
		err = grid.Errorf(grid.Invalid, "header stands in row %d: want it first", row)
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, r.close())
	}
	l, problems := readHeader(j.all, m.Kind, slices.Clone(cells))
	if l.set == 0 {
		return nil, nil, nil, errors.Join(grid.Errorf(grid.Invalid, "no header of row %d is known, it begins with %q: want the first row to name the columns, see gridgate device import template", row, shown(first(cells))), r.close())
	}
	if m.Kind == grid.ImportAuto && l.set&l.says[ofBuilding] == 0 && l.set&(l.bit(keyPoint)|l.bit(keyDevice)) == 0 {
		return nil, nil, nil, errors.Join(grid.Errorf(grid.Invalid, "sheet has neither a column of point ids nor of device identities: want one of them"), r.close())
	}
	c := &checker{registry: j.Store, profile: j.Profile, place: j.Place, layout: l, now: now, seen: map[place]seen{}}
	r.c = c
	return c, r, problems, nil
}

func first(cells []string) string {
	for _, c := range cells {
		if c != "" {
			return c
		}
	}
	return ""
}

// rows reads the rows of a sheet below its header.
type rows struct {
	sheet sheet
	file  io.Closer
	c     *checker
	n     int
}

// batch reads up to n rows; none at the end.
func (r *rows) batch(n int) ([]*parsed, error) {
	var out []*parsed
	for len(out) < n {
		row, cells, dates, err := r.sheet.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		p := r.c.read(row, cells, dates)
		if p.blank {
			continue
		}
		if r.n++; r.n > MaxRows {
			return nil, errTooManyRows
		}
		out = append(out, p)
	}
	return out, nil
}

func (r *rows) close() error { return errors.Join(r.sheet.close(), r.file.Close()) }

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

// apply puts the rows behind m.Done in force, piece by piece.
func (j *Jobs) apply(ctx context.Context, m grid.Import) (_ grid.Import, err error) {
	c, r, problems, err := j.sheetOf(&m, m.Applied)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	found, err := j.files.report(m.ID, false)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, found.close(err == nil)) }()
	found.problems(problems)
	p := &piece{j: j, c: c, m: m, found: found, size: fewestRows}
	if len(problems) > 0 && m.Done <= 1 {
		p.next.Bad++ // the header
	}
	for {
		batch, err := r.batch(p.size)
		if err != nil {
			return p.m, err
		}
		if err := p.put(ctx, batch); err != nil || len(batch) == 0 {
			return p.m, err
		}
	}
}

// piece collects rows until they are worth a command.
type piece struct {
	j     *Jobs
	c     *checker
	m     grid.Import
	found *report
	next  grid.ImportPiece // what waits: counts of rows that change nothing
	size  int              // rows that the next is made of
}

// put judges some rows and puts what they change; no rows is the end of the sheet.
func (p *piece) put(ctx context.Context, batch []*parsed) error {
	last := len(batch) == 0
	for try := 0; ; try++ {
		no := p.j.Engine.RegistryNo()
		verdicts, err := p.c.judge(ctx, batch)
		if err != nil {
			return grid.Errorf(grid.Unavailable, "%w", err)
		}
		next, rows := p.gather(verdicts)
		if len(batch) > 0 && batch[len(batch)-1].n <= p.m.Done {
			p.report(verdicts)
			return nil // they were in force before a restart
		}
		next.Registry, next.Last = no, last
		if rows == 0 && !last && next.Same+next.Bad < mostSame {
			p.report(verdicts)
			p.next = next
			return nil
		}
		began := time.Now()
		m, err := p.j.Engine.PutImported(ctx, next)
		if grid.CodeOf(err) == grid.Conflict && err != nil && try < tries && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return err
		}
		p.report(verdicts)
		p.m, p.next = m, grid.ImportPiece{}
		p.adapt(time.Since(began), rows)
		return nil
	}
}

// adapt makes pieces as large as the state goroutine may be held up.
func (p *piece) adapt(took time.Duration, rows int) {
	if rows < p.size/2 {
		return
	}
	switch {
	case took > pieceTakes*3/2:
		p.size = max(fewestRows, p.size*2/3)
	case took < pieceTakes*2/3:
		p.size = min(mostRows, p.size*5/4+1)
	}
}

func (p *piece) report(verdicts []*verdict) {
	for _, v := range verdicts {
		p.found.problems(v.problems)
	}
}

// gather makes a piece of verdicts, over what waits already.
func (p *piece) gather(verdicts []*verdict) (next grid.ImportPiece, rows int) {
	next = p.next
	next.Import, next.By, next.From = p.m.ID, p.m.By, p.m.Done
	next.To = max(next.To, next.From)
	var changes []change
	for _, v := range verdicts {
		if v.Row <= p.m.Done {
			continue
		}
		next.To = v.Row
		switch v.Result {
		case bad:
			next.Bad++
		case same:
			next.Same++
		case changed:
			next.Changed++
		case added:
			next.Added++
		}
		next.Points = append(next.Points, v.points...)
		next.Buildings = append(next.Buildings, v.buildings...)
		next.Devices = append(next.Devices, v.devices...)
		next.Installations = append(next.Installations, v.installations...)
		if len(v.changes) > 0 {
			rows++
		}
		changes = append(changes, v.changes...)
	}
	if len(changes) > 0 {
		next.Was = packed(changes)
	}
	return next, rows
}

// undo takes the pieces back, the newest first.
func (j *Jobs) undo(ctx context.Context, m grid.Import) (grid.Import, error) {
	pieces, err := j.Store.ImportPieces(ctx, m.ID)
	if err != nil {
		return m, grid.Errorf(grid.Unavailable, "%w", err)
	}
	if len(pieces) == 0 {
		m.State, m.Ended = grid.ImportUndone, j.Now().UTC()
		return j.Engine.MoveImport(ctx, m, "", grid.Actor{}, grid.ImportUndoing)
	}
	for m.State == grid.ImportUndoing {
		n := pieces[len(pieces)-1-m.Done]
		was, err := j.Store.ImportWas(ctx, m.ID, n)
		if err != nil {
			return m, grid.Errorf(grid.Unavailable, "%w", err)
		}
		changes, err := unpacked(was)
		if err != nil {
			return m, err
		}
		for try := 0; ; try++ {
			u, err := j.back(ctx, changes)
			if err != nil {
				return m, grid.Errorf(grid.Unavailable, "%w", err)
			}
			u.Import, u.By, u.Piece, u.Last = m.ID, m.By, n, m.Done == len(pieces)-1
			next, err := j.Engine.UndoImported(ctx, *u)
			if grid.CodeOf(err) == grid.Conflict && err != nil && try < tries && ctx.Err() == nil {
				continue
			}
			if err != nil {
				return m, err
			}
			m = next
			break
		}
	}
	return m, nil
}

// Problems gives a page of what is wrong, and of what an undo has left as it is.
func (j *Jobs) Problems(ctx context.Context, id, cursor string, limit int) (out []grid.ImportProblem, next string, err error) {
	m, err := j.Store.Import(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if m.State == grid.ImportUndoing || m.State == grid.ImportUndone {
		out, err = j.Store.ImportKept(ctx, id, mostProblems)
		return out, "", err
	}
	return page[grid.ImportProblem](j.files, id+problemsName, cursor, limit, nil)
}

// Rows gives a page of what each row was found to be; result "" is all.
func (j *Jobs) Rows(ctx context.Context, id, result, cursor string, limit int) (out []grid.ImportRow, next string, err error) {
	if _, err := j.Store.Import(ctx, id); err != nil {
		return nil, "", err
	}
	return page(j.files, id+rowsName, cursor, limit, func(r *grid.ImportRow) bool { return result == "" || r.Result == result })
}

// ProblemsCSV writes all that is wrong as a sheet, in one language.
func (j *Jobs) ProblemsCSV(ctx context.Context, id, lang string, w io.Writer) error {
	out := newCSV(w)
	heads := []string{"行", "列", "内容", "问题"}
	if lang == "en" {
		heads = []string{"row", "column", "value", "problem"}
	}
	out.line(heads)
	for cursor := ""; ; {
		problems, next, err := j.Problems(ctx, id, cursor, 1000)
		if err != nil {
			return err
		}
		for _, p := range problems {
			said := p.Problem.ZH
			if lang == "en" {
				said = p.Problem.EN
			}
			out.line([]string{itoa(p.Row), p.Column, p.Value, said})
		}
		if cursor = next; cursor == "" {
			return out.end()
		}
	}
}

// mostProblems is how many an undo's list has.
const mostProblems = 10_000
