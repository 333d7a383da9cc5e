package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gridgate/internal/backup"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/state"
)

// BackupConfig is when backups are made, and where.
type BackupConfig struct {
	Dir   string        `yaml:"dir"`   // folder of a schedule's backups, better on another disk; "" is no schedule
	Every time.Duration `yaml:"every"` //
	Keep  int           `yaml:"keep"`  // how many, at least one
}

func defaultBackup() BackupConfig { return BackupConfig{Every: 24 * time.Hour, Keep: 7} }

func (c *BackupConfig) validate(v *problems) {
	v.want(c.Every >= time.Second, "backup.every is %s: want 1s or more", c.Every)
	v.want(c.Keep >= 1, "backup.keep is %d: want 1 or more", c.Keep)
}

// proven are the tables whose rows a restore is held to.
var proven = []string{"ledger", "tickets", "assignments", "moves", "alarms", "deliveries", "units", "points", "devices", "installations"}

// backups are those that this gateway makes.
type backups struct {
	one sync.Mutex // at a time

	mu   sync.Mutex
	last backup.Done
	at   time.Time // of the last good one of the schedule
	err  error     // of the last try
}

// backup writes a consistent copy into an empty folder: the state first, then the journal, so
// that no cursor is past the journal's end. The checkpoint is not copied: it is made anew from
// the journal. before is a folder that it may link to.
func (g *Gateway) backup(ctx context.Context, dir, before string) (backup.Done, error) {
	g.backups.one.Lock()
	defer g.backups.one.Unlock()
	began := time.Now()
	defer g.journal.Pin()()
	t, err := backup.Begin(dir, before)
	if err != nil {
		return backup.Done{}, err
	}
	s := source{t, g}
	for _, part := range []func(context.Context) error{s.state, s.accounts, s.audit, s.evidence, s.journal} {
		if err := errors.Join(ctx.Err(), part(ctx)); err != nil {
			return backup.Done{}, fmt.Errorf("backup: %w", err)
		}
	}
	held, _, err := holds(ctx, dir, filepath.Join(dir, "state.db"))
	if err != nil {
		return backup.Done{}, fmt.Errorf("backup: %w", err)
	}
	m := &held
	m.Taken, m.Program = began.UTC(), Version
	if st := g.standing.Load(); st != nil {
		m.Lineage, m.Term = st.Lineage, st.Term
	}
	if err := t.Finish(ctx, m); err != nil {
		return backup.Done{}, fmt.Errorf("backup: %w", err)
	}
	done := t.Done()
	done.Took = time.Since(began)
	return done, nil
}

// source gives a backup its parts.
type source struct {
	*backup.Taker
	g *Gateway
}

func (s source) state(ctx context.Context) error {
	return s.database(ctx, s.g.cfg.StatePath(), "state.db")
}

func (s source) accounts(ctx context.Context) error {
	if _, err := os.Stat(s.g.cfg.accountsFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.database(ctx, s.g.cfg.accountsFile(), "accounts.db")
}

func (s source) database(ctx context.Context, path, rel string) error {
	to, err := s.Dest(rel)
	if err != nil {
		return err
	}
	if err := state.CopyFile(ctx, path, to); err != nil {
		return err
	}
	return s.Add(rel)
}

// audit takes the newest file up to its last whole line, and all before as they are. What
// stands beside them goes first: it must not be newer than the lines.
func (s source) audit(context.Context) error {
	dir := s.g.cfg.AuditDir()
	files, err := auditFiles(dir)
	for _, f := range files {
		from, rel := filepath.Join(dir, f.name), "audit/"+f.name
		if err := s.part(f, rel, from); err != nil {
			return err
		}
	}
	return err
}

func (s source) part(f auditFile, rel, from string) error {
	if !f.growing {
		err := s.Copy(rel, from, f.size)
		if errors.Is(err, fs.ErrNotExist) { // its time was over
			return nil
		}
		return err
	}
	size, err := wholeLines(from, f.size)
	if err != nil {
		return err
	}
	return s.Copy(rel, from, size)
}

// auditFile is a file of the audit.
type auditFile struct {
	name    string
	size    int64
	growing bool
}

// auditFiles lists what stands beside the lines first, then the lines, oldest first.
func auditFiles(dir string) (out []auditFile, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var lines []auditFile
	for _, e := range entries {
		info, bad := e.Info()
		if bad != nil || !info.Mode().IsRegular() || strings.HasSuffix(e.Name(), ".new") || strings.HasSuffix(e.Name(), ".tmp") {
			continue
		}
		f := auditFile{name: e.Name(), size: info.Size()}
		if strings.HasSuffix(f.name, ".jsonl") {
			lines = append(lines, f)
		} else if f.name != "LOCK" {
			out = append(out, f)
		}
	}
	if n := len(lines); n > 0 {
		lines[n-1].growing = true
	}
	return append(out, lines...), err
}

// wholeLines is how much of the first size bytes of a file are lines that have ended.
func wholeLines(path string, size int64) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for b := make([]byte, 64<<10); size > 0; {
		n := min(int64(len(b)), size)
		if _, err := f.ReadAt(b[:n], size-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(b[:n], '\n'); i >= 0 {
			return size - n + int64(i) + 1, nil
		}
		size -= n
	}
	return 0, nil
}

// evidence takes the files that are kept; uploads on their way lie beside their folders.
func (s source) evidence(ctx context.Context) error {
	dir := s.g.cfg.EvidenceDir()
	return walkEvidence(ctx, dir, func(rel string, size int64) error {
		err := s.Fixed("evidence/"+filepath.ToSlash(rel), filepath.Join(dir, rel), size)
		if errors.Is(err, fs.ErrNotExist) { // erased since
			return nil
		}
		return err
	})
}

func walkEvidence(ctx context.Context, dir string, each func(rel string, size int64) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil || d.IsDir() || filepath.Dir(path) == filepath.Clean(dir) {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return each(rel, info.Size())
	})
}

func (s source) journal(ctx context.Context) error {
	for _, seg := range s.g.journal.Durable() {
		if err := ctx.Err(); err != nil {
			return err
		}
		take := s.Copy
		if seg.Sealed {
			take = s.Fixed
		}
		if err := take("journal/"+seg.Lane.String()+"/"+filepath.Base(seg.Path), seg.Path, seg.Size); err != nil {
			return err
		}
	}
	return nil
}

// holds reads what the files of a backup hold: its state as the file db has it, and what the
// newest segments of its journal say.
func holds(ctx context.Context, dir, db string) (backup.Manifest, state.Progress, error) {
	var m backup.Manifest
	d, err := state.DigestOf(ctx, db, proven...)
	if err != nil {
		return m, d.Progress, err
	}
	m.Schema, m.Tickets, m.Tables = d.Schema, backup.Tickets{All: d.Tickets, Open: d.Open}, make(map[string]backup.Table)
	for name, t := range d.Tables {
		m.Tables[name] = backup.Table{Rows: t.Rows, SHA256: t.SHA256}
	}
	frames, err := journal.OpenReadOnly(filepath.Join(dir, "journal"), nil)
	if err != nil {
		return m, d.Progress, err
	}
	defer frames.Close()
	for lane := range grid.Lane(grid.Lanes) {
		head := frames.Head(lane)
		l := backup.Lane{Lane: lane.String(), Epoch: head.Epoch, Head: head.Seq, Accepted: frames.Accepted(lane)}
		l.Waiting = head.Seq - min(head.Seq, d.Progress.Cursors[lane].Seq)
		for _, row := range d.Progress.Ledger {
			if row.Lane == lane {
				l.Ended += uint64(total(row))
			}
		}
		m.Lanes = append(m.Lanes, l)
	}
	for _, row := range d.Progress.Ledger {
		m.Ledger.Processed += row.Counts[grid.Processed]
		m.Ledger.Duplicate += row.Counts[grid.Duplicate]
		m.Ledger.Ignored += row.Counts[grid.IgnoredFrame]
		m.Ledger.Quarantined += row.Counts[grid.Quarantined]
		m.Ledger.Discarded += row.Counts[grid.Discarded]
	}
	return m, d.Progress, nil
}

// runBackups makes those of the schedule.
func (g *Gateway) runBackups(ctx context.Context) error {
	c := g.cfg.Backup
	if c.Dir == "" {
		return nil
	}
	last := time.Time{}
	if dirs, err := backup.List(c.Dir); err == nil && len(dirs) > 0 {
		last = backup.Taken(dirs[len(dirs)-1])
	}
	for {
		wait := max(time.Until(last.Add(c.Every)), 0)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		last = time.Now()
		done, err := g.scheduled(ctx, last)
		if ctx.Err() != nil {
			return nil
		}
		g.backups.mu.Lock()
		g.backups.err = err
		if err == nil {
			g.backups.last, g.backups.at = done, last
		}
		g.backups.mu.Unlock()
		if err != nil {
			g.log.Error("backup failed", "err", err)
			last = last.Add(-c.Every).Add(min(c.Every, backupAgain)) // sooner than the next
			continue
		}
		g.log.Info("backup is made", "in", done.Folder, "files", done.Files, "bytes", done.Bytes, "linked", done.Linked, "took", done.Took)
	}
}

// backupAgain is when one that failed is tried again.
const backupAgain = 10 * time.Minute

func (g *Gateway) scheduled(ctx context.Context, at time.Time) (backup.Done, error) {
	c := g.cfg.Backup
	dirs, err := backup.List(c.Dir)
	if err != nil {
		return backup.Done{}, err
	}
	before := ""
	if len(dirs) > 0 {
		before = dirs[len(dirs)-1]
	}
	done, err := g.backup(ctx, filepath.Join(c.Dir, backup.Name(at)), before)
	if err != nil {
		return done, err
	}
	return done, backup.Keep(c.Dir, c.Keep)
}

// problem is what of the schedule is not well.
func (b *backups) problem() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Proof is what a backup, or what was restored from it, was found to hold.
type Proof struct {
	Folder   string          `json:"folder"`
	Manifest backup.Manifest `json:"manifest"` // without the files, which are Files
	Files    int             `json:"files"`
	Bytes    int64           `json:"bytes"`
	Recount  Recount         `json:"recount"`  // of its journal, frame by frame, against its state
	Tables   int             `json:"tables"`   // whose rows are those of the manifest
	Problems []string        `json:"problems"` // none: it is whole
}

// VerifyBackup reads a backup whole and writes nothing into it: every file against its sum, the
// ledger against every frame, the rows of its state against the manifest.
func VerifyBackup(ctx context.Context, dir string, log *slog.Logger) (Proof, error) {
	m, err := backup.Read(dir)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Folder: dir, Manifest: *m, Files: len(m.Files), Problems: []string{}}
	p.Manifest.Files = nil
	for _, f := range m.Files {
		p.Bytes += f.Bytes
	}
	if p.Problems, err = m.Check(ctx, dir); err != nil || len(p.Problems) > 0 {
		return p, err
	}
	tmp, err := os.MkdirTemp("", "gridgate-verify-") // a state is opened, and a backup is not to be written to
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(tmp)
	db := filepath.Join(tmp, "state.db")
	if err := copyFile(filepath.Join(dir, "state.db"), db); err != nil {
		return p, err
	}
	return p, p.prove(ctx, m, dir, db, log)
}

// prove holds what the files say against the manifest.
func (p *Proof) prove(ctx context.Context, m *backup.Manifest, dir, db string, log *slog.Logger) error {
	held, progress, err := holds(ctx, dir, db)
	if err != nil {
		return err
	}
	wrong := func(format string, args ...any) { p.Problems = append(p.Problems, fmt.Sprintf(format, args...)) }
	for _, name := range proven {
		want, ok := m.Tables[name]
		if got := held.Tables[name]; ok && got != want {
			wrong("table %s has %d rows with the sum %.12s: the manifest has %d with %.12s", name, got.Rows, got.SHA256, want.Rows, want.SHA256)
			continue
		}
		p.Tables++
	}
	if held.Tickets != m.Tickets {
		wrong("tickets are %+v: the manifest has %+v", held.Tickets, m.Tickets)
	}
	if held.Ledger != m.Ledger {
		wrong("the ledger is %+v: the manifest has %+v", held.Ledger, m.Ledger)
	}
	frames, err := journal.OpenReadOnly(filepath.Join(dir, "journal"), log)
	if err != nil {
		return err
	}
	defer frames.Close()
	counted, err := frames.Recount(ctx)
	if err != nil {
		return err
	}
	p.Recount = recount(progress, counted)
	p.Problems = append(p.Problems, p.Recount.Problems...)
	for i, l := range p.Recount.Lanes {
		if i < len(m.Lanes) && (l.Accepted != m.Lanes[i].Accepted || l.Waiting != m.Lanes[i].Waiting || uint64(l.Ended) != m.Lanes[i].Ended) {
			wrong("%s: counted %d accepted, %d ended, %d waiting; the manifest has %d, %d, %d", l.Lane, l.Accepted, l.Ended, l.Waiting, m.Lanes[i].Accepted, m.Lanes[i].Ended, m.Lanes[i].Waiting)
		}
	}
	return nil
}

// backupInto is a backup that a person asks for.
func (g *Gateway) backupInto(ctx context.Context, dir string) error {
	before := ""
	if dirs, err := backup.List(filepath.Dir(dir)); err == nil && len(dirs) > 0 {
		before = dirs[len(dirs)-1]
	}
	_, err := g.backup(ctx, dir, before)
	return err
}

// accountsFile is where users, sessions and tokens are kept.
func (c *Config) accountsFile() string { return filepath.Join(c.DataDir, "accounts.db") }
