package backup

import (
	"context"
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
	"strings"
	"time"

	"gridgate/internal/grid"
)

// ManifestName is the manifest's in the backup's folder.
const ManifestName = "manifest.json"

// format is the form of the manifest.
const format = 1

// Manifest is what a backup says of itself.
type Manifest struct {
	Format  int       `json:"format"`
	Taken   time.Time `json:"taken"`
	Program string    `json:"program"` // that took it
	Schema  int64     `json:"schema"`  // of its state
	Lineage string    `json:"lineage"` // of the data folder, over all its copies
	Term    uint32    `json:"term"`    // how often one copy has followed another
	Lanes   []Lane    `json:"lanes"`
	Ledger  Ledger    `json:"ledger"`
	Tickets Tickets   `json:"tickets"`

	Tables map[string]Table `json:"tables"` // of its state
	Files  []File           `json:"files"`
}

// Lane is one lane of the journal, and how far the state has taken it.
type Lane struct {
	Lane     string `json:"lane"`
	Epoch    uint32 `json:"epoch"`
	Head     uint64 `json:"head"`     // last sequence
	Accepted uint64 `json:"accepted"` // frames, what retention has removed included
	Ended    uint64 `json:"ended"`    // processed, duplicate, ignored, quarantined, discarded
	Waiting  uint64 `json:"waiting"`
}

// Ledger is what became of the frames that have ended.
type Ledger struct {
	Processed   int64 `json:"processed"`
	Duplicate   int64 `json:"duplicate"`
	Ignored     int64 `json:"ignored"`
	Quarantined int64 `json:"quarantined"`
	Discarded   int64 `json:"discarded"`
}

// Tickets counts them.
type Tickets struct {
	All  int64 `json:"all"`
	Open int64 `json:"open"`
}

// Table is a table of the state: equal sums are equal rows.
type Table struct {
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// File is one file of the backup.
type File struct {
	Path   string `json:"path"` // relative, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Read reads the manifest of a backup; grid.NotFound when there is none.
func Read(dir string) (*Manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, grid.Errorf(grid.NotFound, "%s has no %s: it is no backup, or one that was not finished", dir, ManifestName)
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	m := &Manifest{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, grid.Errorf(grid.Invalid, "backup %s: %s: %w", dir, ManifestName, err)
	}
	if m.Format != format {
		return nil, grid.Errorf(grid.Conflict, "backup %s has form %d: this program reads %d", dir, m.Format, format)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return nil, grid.Errorf(grid.Invalid, "backup %s: the manifest names %q: want a path within the folder", dir, f.Path)
		}
	}
	return m, nil
}

// write makes the manifest durable: from now on the folder is a backup.
func (m *Manifest) write(dir string) error {
	m.Format = format
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return Replace(filepath.Join(dir, ManifestName), append(b, '\n'))
}

// Replace puts a small file in place whole, durably.
func Replace(path string, b []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Check reads every file of a backup again and says which are not as they were.
func (m *Manifest) Check(ctx context.Context, dir string) (problems []string, err error) {
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, sum, err := sumFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			problems = append(problems, f.Path+" is missing")
		case err != nil:
			return nil, err
		case n != f.Bytes:
			problems = append(problems, fmt.Sprintf("%s has %d bytes: want %d", f.Path, n, f.Bytes))
		case sum != f.SHA256:
			problems = append(problems, fmt.Sprintf("%s has changed: its SHA-256 is %s, want %s", f.Path, sum, f.SHA256))
		}
	}
	return problems, nil
}

func sumFile(path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
