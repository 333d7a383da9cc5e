package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gridgate/internal/backup"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// restoredMark stands in a data folder from its restore until it is first opened.
const restoredMark = "restored"

// Restore puts a backup into the data folder, which must be empty or not there: whole, proven
// against its manifest and recounted, or not at all. The next start raises the journal's epoch,
// so that positions handed out after the backup was taken never mean another frame.
func (c *Config) Restore(ctx context.Context, from string, log *slog.Logger) (Proof, error) {
	p, err := c.restore(ctx, from, log)
	if err != nil {
		return p, fmt.Errorf("restore: %w", err)
	}
	return p, nil
}

func (c *Config) restore(ctx context.Context, from string, log *slog.Logger) (Proof, error) {
	if old, err := os.ReadDir(c.DataDir); err == nil && len(old) > 0 {
		return Proof{}, grid.Errorf(grid.Conflict, "%s holds %s and more: want an empty data_dir", c.DataDir, old[0].Name())
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Proof{}, err
	}
	m, err := backup.Read(from)
	if err != nil {
		return Proof{}, err
	}
	whole := *c
	whole.DataDir = filepath.Clean(c.DataDir) + ".restoring"
	if err := os.RemoveAll(whole.DataDir); err != nil { // of a restore that was cut short
		return Proof{}, err
	}
	p, err := whole.fill(ctx, m, from, log)
	if err != nil {
		return p, err
	}
	if len(p.Problems) > 0 {
		return p, grid.Errorf(grid.Conflict, "%s is not what its manifest says: %s", from, strings.Join(p.Problems, "; "))
	}
	if err := whole.takeOver(m.Lineage, m.Term, m.Taken); err != nil {
		return p, err
	}
	if err := os.Remove(c.DataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if err := os.Rename(whole.DataDir, c.DataDir); err != nil {
		return p, err
	}
	return p, syncDir(filepath.Dir(filepath.Clean(c.DataDir)))
}

// fill copies the files of a backup and proves the copy, not the backup.
func (c *Config) fill(ctx context.Context, m *backup.Manifest, from string, log *slog.Logger) (Proof, error) {
	p := Proof{Folder: from, Manifest: *m, Files: len(m.Files), Problems: []string{}}
	p.Manifest.Files = nil
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		rel := filepath.FromSlash(f.Path)
		to := filepath.Join(c.DataDir, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return p, err
		}
		if err := copyFile(filepath.Join(from, rel), to); err != nil {
			return p, err
		}
		p.Bytes += f.Bytes
	}
	problems, err := m.Check(ctx, c.DataDir)
	if p.Problems = append(p.Problems, problems...); err != nil || len(problems) > 0 {
		return p, err
	}
	return p, p.prove(ctx, m, c.DataDir, c.StatePath(), log)
}

// takeOver makes a copy the gateway: of the next term, with a new epoch at the next start. Its
// state is as it was at a moment.
func (c *Config) takeOver(lineage string, term uint32, copied time.Time) error {
	s := succeed(lineage, term)
	s.Copied = copied
	if err := c.writeStanding(s); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.DataDir, restoredMark), nil, 0o600); err != nil {
		return err
	}
	return syncTree(c.DataDir)
}

// Schema is how far the state is from what this program writes.
func (c *Config) Schema(ctx context.Context) (state.Schema, error) {
	return state.SchemaOf(ctx, c.StatePath())
}

// restored reports whether the data folder was restored and not opened since.
func (c *Config) restored() (bool, error) {
	_, err := os.Stat(filepath.Join(c.DataDir, restoredMark))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func copyFile(from, to string) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return dst.Sync()
}

// syncTree makes the names in a folder and all below durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
