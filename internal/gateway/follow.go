package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/backup"
	"gridgate/internal/grid"
	"gridgate/internal/journal"
	"gridgate/internal/state"
)

// Follower is a warm standby: a copy of a running gateway's data folder that follows it. It
// may be stopped and started at any time, and goes on from what it has.
type Follower struct {
	From          *api.Client
	Dir           string
	Every         time.Duration // of looks for new frames
	SnapshotEvery time.Duration // of copies of the databases
	Log           *slog.Logger
	Told          func(Followed) // after each round; may be nil
}

// Followed is how far a standby is, kept in its folder.
type Followed struct {
	From    string    `json:"from"`
	Lineage string    `json:"lineage"`
	Term    uint32    `json:"term"`
	At      time.Time `json:"at"`       // of the last whole round
	State   time.Time `json:"state"`    // of the databases' copy
	Bytes   int64     `json:"bytes"`    // that came in the last round
	Behind  int64     `json:"behind"`   // bytes of the source's list that were not here when the round began
	Failing string    `json:"failing"`  // why the last round was not whole; "" : it was
	Changed string    `json:"-"`        // a file that is not as it was: it came anew
	Took    float64   `json:"took_sec"` // the round
}

const (
	followedName = "standby.json"
	copyPiece    = 8 << 20
)

// Run follows until ctx is done. A source that does not answer is asked again.
func (f *Follower) Run(ctx context.Context) error {
	if err := f.claim(); err != nil {
		return err
	}
	var done Followed
	for {
		began := time.Now()
		next, err := f.round(ctx, done, time.Since(done.State) >= f.SnapshotEvery)
		if ctx.Err() != nil {
			return nil
		}
		if grid.CodeOf(err) == grid.Conflict {
			return err
		}
		if err != nil {
			done.Failing = err.Error()
		} else {
			done, done.Failing = next, ""
		}
		done.Took = time.Since(began).Seconds()
		if err := f.note(&done); err != nil {
			return err
		}
		if f.Told != nil {
			f.Told(done)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(f.Every):
		}
	}
}

// claim makes sure that the folder is a standby's, or new.
func (f *Follower) claim() error {
	old, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("standby: %w", err)
	}
	if _, bad := os.Stat(filepath.Join(f.Dir, followedName)); len(old) > 0 && bad != nil {
		return grid.Errorf(grid.Conflict, "standby: %s holds %s and is no standby's folder: want an empty one", f.Dir, old[0].Name())
	}
	for _, lane := range []string{"safety", "bulk"} {
		if err := os.MkdirAll(filepath.Join(f.Dir, "journal", lane), 0o700); err != nil {
			return fmt.Errorf("standby: %w", err)
		}
	}
	return nil
}

func (f *Follower) note(d *Followed) error {
	b, err := json.MarshalIndent(d, "", "  ")
	if err == nil {
		err = backup.Replace(filepath.Join(f.Dir, followedName), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("standby: %w", err)
	}
	return nil
}

// ReadFollowed says how far a standby is.
func ReadFollowed(dir string) (d Followed, err error) {
	b, err := os.ReadFile(filepath.Join(dir, followedName))
	if errors.Is(err, fs.ErrNotExist) {
		return d, grid.Errorf(grid.NotFound, "%s is no standby's folder: it has no %s", dir, followedName)
	}
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	return d, err
}

// round copies the databases first, where it is time, then all that has grown: so no cursor is
// past the journal's end.
func (f *Follower) round(ctx context.Context, was Followed, snapshot bool) (Followed, error) {
	d := Followed{From: f.From.URL, State: was.State}
	var fresh []string
	if snapshot || was.State.IsZero() {
		s, n, err := f.databases(ctx)
		if err != nil {
			return d, err
		}
		d.State, d.Bytes = s.Taken, n
		for _, file := range s.Files {
			fresh = append(fresh, filepath.Join(f.Dir, file.Name))
		}
	}
	list, err := f.From.Copies(ctx)
	if err != nil {
		return d, err
	}
	if old, err := ReadFollowed(f.Dir); err == nil && old.Lineage != "" && (old.Lineage != list.Lineage || old.Term != list.Term) {
		return d, grid.Errorf(grid.Conflict, "standby: %s follows lineage %.8s term %d, and %s is %.8s term %d: it was restored or promoted; begin with an empty folder",
			f.Dir, old.Lineage, old.Term, f.From.URL, list.Lineage, list.Term)
	}
	d.Lineage, d.Term = list.Lineage, list.Term
	known := make(map[string]bool, len(list.Files))
	for _, file := range list.Files {
		if !filepath.IsLocal(filepath.FromSlash(file.Path)) {
			return d, grid.Errorf(grid.Invalid, "standby: the source names %q", file.Path)
		}
		known[file.Path] = true
		n, err := f.file(ctx, file)
		if err != nil {
			return d, err
		}
		d.Bytes, d.Behind = d.Bytes+n, d.Behind+n
	}
	// The newer state only now: what it has taken of the journal is here.
	for _, path := range fresh {
		if err := os.Rename(path+".new", path); err != nil {
			return d, err
		}
	}
	d.At = list.At
	return d, errors.Join(f.forget(known), syncTree(f.Dir))
}

// file brings one file to its size at the source.
func (f *Follower) file(ctx context.Context, file api.CopyFile) (n int64, err error) {
	path := filepath.Join(f.Dir, filepath.FromSlash(file.Path))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, err
	}
	if file.Whole {
		if file.Size == 0 {
			return 0, backup.Replace(path, nil)
		}
		b, err := f.From.CopyFile(ctx, file.Path, 0, file.Size)
		if err != nil {
			return 0, err
		}
		return 0, backup.Replace(path, b)
	}
	have := int64(0)
	if info, err := os.Stat(path); err == nil {
		have = info.Size()
	}
	if have >= file.Size {
		return 0, nil
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	for at := have; at < file.Size; {
		b, err := f.From.CopyFile(ctx, file.Path, at, min(copyPiece, file.Size-at))
		if err != nil {
			if grid.CodeOf(err) == grid.NotFound { // its time was over
				return n, nil
			}
			return n, err
		}
		if _, err := out.WriteAt(b, at); err != nil {
			return n, err
		}
		at, n = at+int64(len(b)), n+int64(len(b))
	}
	return n, out.Sync()
}

// forget removes segments that the source does not keep any more, and erased evidence.
func (f *Follower) forget(known map[string]bool) error {
	for _, top := range []string{"journal", "evidence", "audit"} {
		err := filepath.WalkDir(filepath.Join(f.Dir, top), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(f.Dir, path)
			if err == nil && !known[filepath.ToSlash(rel)] {
				err = os.Remove(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// databases makes newer copies of the databases beside those that are here, block by block.
func (f *Follower) databases(ctx context.Context) (s api.Snapshot, n int64, err error) {
	if s, err = f.From.Snapshot(ctx); err != nil {
		return s, 0, err
	}
	for _, file := range s.Files {
		if file.Name != filepath.Base(file.Name) || !strings.HasSuffix(file.Name, ".db") || file.Block < 1 {
			return s, n, grid.Errorf(grid.Invalid, "standby: the source names a database %q", file.Name)
		}
		got, err := f.database(ctx, file)
		if err != nil {
			return s, n, err
		}
		n += got
	}
	return s, n, nil
}

func (f *Follower) database(ctx context.Context, file api.SnapshotFile) (n int64, err error) {
	path := filepath.Join(f.Dir, file.Name)
	old, err := os.Open(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if old != nil {
		defer old.Close()
	}
	next := path + ".new"
	out, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	whole := sha256.New()
	have := make([]byte, file.Block)
	for i, want := range file.Blocks {
		at := int64(i) * file.Block
		size := min(file.Block, file.Size-at)
		b := have[:size]
		same := false
		if old != nil {
			if _, err := old.ReadAt(b, at); err == nil || errors.Is(err, io.EOF) {
				sum := sha256.Sum256(b)
				same = hex.EncodeToString(sum[:]) == want
			}
		}
		if !same {
			if b, err = f.From.CopyFile(ctx, "snapshot/"+file.Name, at, size); err != nil {
				return n, err
			}
			n += size
		}
		whole.Write(b)
		if _, err := out.Write(b); err != nil {
			return n, err
		}
	}
	if sum := hex.EncodeToString(whole.Sum(nil)); sum != file.SHA256 {
		return n, fmt.Errorf("standby: %s came as %s: want %s; a later snapshot came between", file.Name, sum, file.SHA256)
	}
	return n, errors.Join(out.Sync(), out.Close())
}

// Promoted is what a promotion came to.
type Promoted struct {
	Folder   string   `json:"folder"`
	Followed Followed `json:"followed"`
	Term     uint32   `json:"term"`
	Recount  Recount  `json:"recount"`
	Tickets  int64    `json:"tickets"`
	Open     int64    `json:"open"`
	Fenced   bool     `json:"fenced"`  // the old gateway has heard that it is none any more
	Unheard  string   `json:"unheard"` // why not
}

// Promote makes a standby's folder, which is the data_dir of c, a gateway's: it fences the old
// one as far as that can be reached, recounts, and raises term and epoch. old may be nil.
func (c *Config) Promote(ctx context.Context, old *api.Client, by string, log *slog.Logger) (Promoted, error) {
	p, err := c.promote(ctx, old, by, log)
	if err != nil {
		return p, fmt.Errorf("promote: %w", err)
	}
	return p, nil
}

func (c *Config) promote(ctx context.Context, old *api.Client, by string, log *slog.Logger) (p Promoted, err error) {
	p.Folder = c.DataDir
	lineage, term := "", uint32(0)
	if st, err := c.readStanding(); err != nil {
		return p, err
	} else if st != nil { // a gateway that was fenced takes its place back
		if st.Fenced == nil {
			return p, grid.Errorf(grid.Conflict, "%s is a gateway's already, of term %d: start it", c.DataDir, st.Term)
		}
		lineage, term = st.Lineage, max(st.Term, st.Fenced.Term)
	} else if p.Followed, err = ReadFollowed(c.DataDir); err != nil {
		return p, err
	} else {
		lineage, term = p.Followed.Lineage, p.Followed.Term
	}
	p.Term = term + 1
	if old != nil {
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := old.Fence(within, api.Fence{Lineage: lineage, Term: p.Term, By: by})
		cancel()
		if p.Fenced = err == nil; err != nil {
			p.Unheard = err.Error()
		}
	}
	if err := c.dropHalf(); err != nil {
		return p, err
	}
	d, err := state.DigestOf(ctx, c.StatePath(), "ledger")
	if err != nil {
		return p, err
	}
	p.Tickets, p.Open = d.Tickets, d.Open
	frames, err := journal.OpenReadOnly(c.JournalDir(), log)
	if err != nil {
		return p, err
	}
	counted, err := frames.Recount(ctx)
	if err = errors.Join(err, frames.Close()); err != nil {
		return p, err
	}
	if p.Recount = recount(d.Progress, counted); len(p.Recount.Problems) > 0 {
		return p, grid.Errorf(grid.Conflict, "the copy's ledger does not balance: %s", strings.Join(p.Recount.Problems, "; "))
	}
	if err := c.takeOver(lineage, term, p.Followed.State); err != nil {
		return p, err
	}
	if err := os.Remove(filepath.Join(c.DataDir, followedName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	return p, syncDir(c.DataDir)
}

// dropHalf removes what a half round left.
func (c *Config) dropHalf() error {
	left, err := filepath.Glob(filepath.Join(c.DataDir, "*.new"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
