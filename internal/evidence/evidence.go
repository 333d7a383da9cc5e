// Package evidence keeps the photos and documents behind tickets: each file once, under the
// SHA-256 of its bytes, so that what was shown then can be proven to be what is there now.
package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"gridgate/internal/grid"
)

// MaxBytes is the largest file: a photo of a phone, not a film.
const MaxBytes = 10 << 20

// types are what may be kept, by what the bytes say.
var types = []string{"image/jpeg", "image/png", "image/webp", "image/heic", "application/pdf"}

// Files is a folder of files. Safe for concurrent use.
type Files struct {
	dir string

	mu   sync.Mutex
	held map[string]int // files that were put, and whose rows are on their way
}

// Open makes the folder if it is not there.
func Open(dir string) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "new-*")) // of uploads that were cut short
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	return &Files{dir: dir, held: map[string]int{}}, nil
}

// Stored is what is known of a file that is kept.
type Stored struct {
	SHA256 string // hexadecimal
	Bytes  int64
	Type   string // media type
}

// Put keeps a file; on nil it is on disk, and nobody removes it until Done. The same bytes again are
// the same file.
func (f *Files) Put(r io.Reader) (Stored, error) {
	tmp, err := os.CreateTemp(f.dir, "new-*")
	if err != nil {
		return Stored{}, fmt.Errorf("evidence: %w", err)
	}
	defer os.Remove(tmp.Name()) // after the rename there is none
	defer tmp.Close()
	h := sha256.New()
	head := &beginning{}
	n, err := io.Copy(io.MultiWriter(tmp, h, head), io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return Stored{}, fmt.Errorf("evidence: %w", err)
	}
	s := Stored{SHA256: hex.EncodeToString(h.Sum(nil)), Bytes: n, Type: mediaType(head.b)}
	switch {
	case n == 0:
		return Stored{}, grid.Errorf(grid.Invalid, "file is empty: want a photo or a PDF")
	case n > MaxBytes:
		return Stored{}, grid.Errorf(grid.Invalid, "file is over %d MiB: want a smaller one", MaxBytes>>20)
	case !slices.Contains(types, s.Type):
		return Stored{}, grid.Errorf(grid.Invalid, "file is %s by its content: want one of %v", s.Type, types)
	}
	f.hold(s.SHA256, 1)
	if err := f.keep(tmp, s.SHA256); err != nil {
		f.hold(s.SHA256, -1)
		return Stored{}, err
	}
	return s, nil
}

// Done says that the row of a file that was put is written, or will not be.
func (f *Files) Done(sum string) { f.hold(sum, -1) }

func (f *Files) hold(sum string, by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held[sum] += by; f.held[sum] <= 0 {
		delete(f.held, sum)
	}
}

// Remove takes a file away unless somebody has just put it, or used says that something refers to
// it. gone: it is not there any more, durably.
func (f *Files) Remove(sum string, used func() (bool, error)) (gone bool, err error) {
	if !aSum.MatchString(sum) {
		return false, grid.Errorf(grid.Invalid, "sha256 is %q: want 64 digits", sum)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held[sum] > 0 {
		return false, nil
	}
	if is, err := used(); err != nil || is {
		return false, err
	}
	if err := os.Remove(f.path(sum)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		return false, fmt.Errorf("evidence: %w", err)
	}
	return true, syncDir(filepath.Dir(f.path(sum)))
}

// keep makes a file durable under its name.
func (f *Files) keep(tmp *os.File, sum string) error {
	to := f.path(sum)
	if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), tmp.Sync()); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	if err := os.Rename(tmp.Name(), to); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return errors.Join(syncDir(filepath.Dir(to)), syncDir(f.dir))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *Files) path(sum string) string { return filepath.Join(f.dir, sum[:2], sum) }

var aSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Get opens a file that is kept.
func (f *Files) Get(sum string) (*os.File, error) {
	if !aSum.MatchString(sum) {
		return nil, grid.Errorf(grid.Invalid, "sha256 is %q: want 64 digits", sum)
	}
	file, err := os.Open(f.path(sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, grid.Errorf(grid.NotFound, "file %s is not in the folder of evidence", sum)
	}
	return file, err
}

// Verify reads a file again and reports whether its bytes are still those of its name.
func (f *Files) Verify(sum string) error {
	file, err := f.Get(sum)
	if err != nil {
		return err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return grid.Errorf(grid.Internal, "file %s has changed: its bytes are %s now", sum, got)
	}
	return nil
}

// mediaType is what the bytes say; HEIC, which phones make, is not known to net/http.
func mediaType(head []byte) string {
	if len(head) >= 12 && bytes.Equal(head[4:8], []byte("ftyp")) && slices.Contains([]string{"heic", "heix", "mif1", "heim"}, string(head[8:12])) {
		return "image/heic"
	}
	return http.DetectContentType(head)
}

// beginning keeps the first bytes that are written.
type beginning struct{ b []byte }

func (w *beginning) Write(p []byte) (int, error) {
	w.b = append(w.b, p[:min(len(p), 512-min(512, len(w.b)))]...)
	return len(p), nil
}
