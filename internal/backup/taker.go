package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gridgate/internal/grid"
)

// Taker writes one backup.
type Taker struct {
	dir    string
	before string          // folder of the backup before; "" : none
	known  map[string]File // its files
	files  []File
	dirs   map[string]bool // made, to be synced
	linked int64
}

// Begin makes dir, which must be empty or not there. Files that the backup before has in the
// same form are linked to it; before is "" for none.
func Begin(dir, before string) (*Taker, error) {
	t := &Taker{dir: dir, before: before, known: make(map[string]File), dirs: make(map[string]bool)}
	if old, err := os.ReadDir(dir); err == nil && len(old) > 0 {
		return nil, grid.Errorf(grid.Conflict, "backup: %s holds %s: want an empty or new folder", dir, old[0].Name())
	}
	if before != "" {
		m, err := Read(before)
		if err != nil {
			return nil, err
		}
		for _, f := range m.Files {
			t.known[f.Path] = f
		}
	}
	return t, t.mkdir(dir)
}

func (t *Taker) mkdir(dir string) error {
	t.dirs[dir] = true
	return os.MkdirAll(dir, 0o700)
}

// Dest is where a file of that name goes, its folder made. Whoever writes it calls Add then.
func (t *Taker) Dest(rel string) (string, error) {
	to := filepath.Join(t.dir, filepath.FromSlash(rel))
	return to, t.mkdir(filepath.Dir(to))
}

// Add takes in a file that was written to Dest and synced.
func (t *Taker) Add(rel string) error {
	n, sum, err := sumFile(filepath.Join(t.dir, filepath.FromSlash(rel)))
	if err == nil {
		t.files = append(t.files, File{rel, n, sum})
	}
	return err
}

// Fixed takes a file that never changes any more: by a link, else by a copy. One that is gone
// gives fs.ErrNotExist.
func (t *Taker) Fixed(rel, from string, size int64) error {
	to, err := t.Dest(rel)
	if err != nil {
		return err
	}
	if f, ok := t.known[rel]; ok && f.Bytes == size {
		if os.Link(filepath.Join(t.before, filepath.FromSlash(rel)), to) == nil {
			t.linked += size
			t.files = append(t.files, f) // its sum was taken then, and Check reads it anew
			return nil
		}
	}
	// While a segment is being sealed its file still has the zeros after its last record.
	if info, err := os.Stat(from); err != nil {
		return err
	} else if info.Size() == size && os.Link(from, to) == nil {
		t.linked += size
		return t.Add(rel)
	}
	return t.Copy(rel, from, size)
}

// Copy takes the first size bytes of a file that grows.
func (t *Taker) Copy(rel, from string, size int64) error {
	to, err := t.Dest(rel)
	if err != nil {
		return err
	}
	sum, err := copyStart(from, to, size)
	if err == nil {
		t.files = append(t.files, File{rel, size, sum})
	}
	return err
}

// copyStart copies the first bytes of a file, durably, and gives their sum.
func copyStart(from, to string, size int64) (sum string, err error) {
	src, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(dst, h), src, size); err != nil {
		return "", fmt.Errorf("%s: %w", from, err)
	}
	return hex.EncodeToString(h.Sum(nil)), dst.Sync()
}

// Finish makes the folder a backup. m has everything but the files.
func (t *Taker) Finish(ctx context.Context, m *Manifest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.Files = t.files
	for dir := range t.dirs {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	if err := m.write(t.dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(t.dir))
}

// Done is what taking it came to.
type Done struct {
	Folder string        `json:"folder"`
	Files  int           `json:"files"`
	Bytes  int64         `json:"bytes"`  // of all files
	Linked int64         `json:"linked"` // of them: not copied
	Took   time.Duration `json:"took_ns"`
}

// Done tells.
func (t *Taker) Done() Done {
	d := Done{Folder: t.dir, Files: len(t.files), Linked: t.linked}
	for _, f := range t.files {
		d.Bytes += f.Bytes
	}
	return d
}

// nameForm is how backups of a schedule are called: by their time, so that they sort.
const nameForm = "20060102T150405Z"

// Name is what the backup of that time is called.
func Name(at time.Time) string { return at.UTC().Format(nameForm) }

// List gives the backups of a schedule's folder, oldest first; what is not finished is not one.
func List(root string) (dirs []string, err error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if _, bad := time.Parse(nameForm, e.Name()); bad != nil || !e.IsDir() {
			continue
		}
		if _, bad := os.Stat(filepath.Join(root, e.Name(), ManifestName)); bad == nil {
			dirs = append(dirs, filepath.Join(root, e.Name()))
		}
	}
	slices.Sort(dirs)
	return dirs, err
}

// Taken is when a backup of a schedule was taken, by its name.
func Taken(dir string) time.Time {
	at, _ := time.Parse(nameForm, filepath.Base(dir))
	return at
}

// Keep removes all but the newest n backups of a schedule, and what was begun and never
// finished before them.
func Keep(root string, n int) error {
	dirs, err := List(root)
	if err != nil || len(dirs) == 0 {
		return err
	}
	newest := filepath.Base(dirs[len(dirs)-1])
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	gone := dirs[:max(len(dirs)-n, 0)]
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		if _, bad := time.Parse(nameForm, e.Name()); bad == nil && e.Name() < newest && !slices.Contains(dirs, dir) {
			gone = append(gone, dir)
		}
	}
	for _, dir := range gone {
		// The manifest first: half of a backup must not pass for one.
		if err := os.Remove(filepath.Join(dir, ManifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}
