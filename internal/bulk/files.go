package bulk

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// files keeps the sheets under the hash of their bytes, and what was found in each import.
type files struct{ dir string }

const (
	rowsName     = ".rows"
	problemsName = ".problems"
	newName      = ".new"
	maxFolder    = 1 << 30 // the oldest files are given up beyond it
)

func openFiles(dir string) (*files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("imports: %w", err)
	}
	f := &files{dir}
	left, err := filepath.Glob(filepath.Join(dir, "*"+newName))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return f, errors.Join(err, f.prune(0))
}

// put keeps a sheet; on nil it is on disk.
func (f *files) put(b []byte) (string, error) {
	sum := sha256.Sum256(b)
	name := hex.EncodeToString(sum[:])
	path := filepath.Join(f.dir, name)
	if _, err := os.Stat(path); err == nil {
		now := time.Now()
		return name, os.Chtimes(path, now, now) // it is young again
	}
	if err := f.prune(int64(len(b))); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(f.dir, "*"+newName)
	if err != nil {
		return "", fmt.Errorf("imports: %w", err)
	}
	defer os.Remove(tmp.Name()) // after the rename there is none
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err == nil {
		err = syncDir(f.dir)
	}
	if err != nil {
		return "", fmt.Errorf("imports: %w", err)
	}
	return name, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *files) get(sum string) (*os.File, error) {
	file, err := os.Open(filepath.Join(f.dir, sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, grid.Errorf(grid.NotFound, "the file of this import is not in the data folder (any more): hand it in again")
	}
	return file, err
}

// prune gives up the oldest files until so many bytes more fit.
func (f *files) prune(more int64) error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("imports: %w", err)
	}
	type old struct {
		path string
		size int64
		at   time.Time
	}
	var all []old
	total := more
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(e.Name(), newName) {
			all = append(all, old{filepath.Join(f.dir, e.Name()), info.Size(), info.ModTime()})
			total += info.Size()
		}
	}
	slices.SortFunc(all, func(a, b old) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.path, b.path)) })
	for _, o := range all {
		if total <= maxFolder {
			break
		}
		if err := os.Remove(o.path); err != nil {
			return fmt.Errorf("imports: %w", err)
		}
		total -= o.size
	}
	return nil
}

// report writes what is found, row by row, as it is found.
type report struct {
	dir     string
	id      string
	err     error
	results *lines // nil: only problems are written
	wrong   *lines
}

// lines is a file of JSON lines.
type lines struct {
	f *os.File
	w *bufio.Writer
}

func (f *files) report(id string, results bool) (*report, error) {
	r := &report{dir: f.dir, id: id}
	var err error
	if r.wrong, err = newLines(f.dir, id+problemsName); err == nil && results {
		r.results, err = newLines(f.dir, id+rowsName)
	}
	if err != nil {
		return nil, errors.Join(err, r.close(false))
	}
	return r, nil
}

func newLines(dir, name string) (*lines, error) {
	f, err := os.OpenFile(filepath.Join(dir, name+newName), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("imports: %w", err)
	}
	return &lines{f, bufio.NewWriterSize(f, 256<<10)}, nil
}

func (l *lines) add(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = l.w.Write(append(b, '\n'))
	}
	return err
}

func (r *report) row(v *verdict) {
	if r.err == nil {
		r.err = r.results.add(v.ImportRow)
	}
	r.problems(v.problems)
}

func (r *report) problems(all []grid.ImportProblem) {
	for i := range all {
		if r.err == nil {
			r.err = r.wrong.add(&all[i])
		}
	}
}

// close gives the files their names, or throws them away.
func (r *report) close(keep bool) error {
	err := r.err
	for name, l := range map[string]*lines{problemsName: r.wrong, rowsName: r.results} {
		if l == nil {
			continue
		}
		err = errors.Join(err, l.w.Flush(), l.f.Close())
		if keep && err == nil {
			err = os.Rename(l.f.Name(), filepath.Join(r.dir, r.id+name))
		} else {
			err = errors.Join(err, os.Remove(l.f.Name()))
		}
	}
	return err
}

// page reads some lines of a file from a place on; take nil is all.
func page[T any](f *files, name, cursor string, limit int, take func(*T) bool) (out []T, next string, err error) {
	from := int64(0)
	if cursor != "" {
		if from, err = strconv.ParseInt(cursor, 10, 64); err != nil || from < 0 {
			return nil, "", grid.Errorf(grid.Invalid, "cursor is %.40q: want one that this list gave as next", cursor)
		}
	}
	file, err := os.Open(filepath.Join(f.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return nil, "", err
	}
	r := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, "", nil
		}
		if err != nil {
			return nil, "", err
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, "", grid.Errorf(grid.Invalid, "cursor is %.40q: want one that this list gave as next", cursor)
		}
		if take == nil || take(&v) {
			if len(out) == limit {
				return out, strconv.FormatInt(from, 10), nil
			}
			out = append(out, v)
		}
		from += int64(len(line))
	}
}
