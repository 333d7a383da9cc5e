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

	"gridgate/internal/grid"
)

// restoredMark stands in a data folder from its restore until it is first opened.
const restoredMark = "restored"

// Restore puts a backup into the data folder, which must be empty or not there: whole and
// recounted, or not at all. The next start raises the journal's epoch, so that positions
// handed out after the backup was taken never mean another frame.
func (c *Config) Restore(ctx context.Context, from string, log *slog.Logger) error {
	if old, err := os.ReadDir(c.DataDir); err == nil && len(old) > 0 {
		return grid.Errorf(grid.Conflict, "restore: %s holds %s and more: want an empty data_dir", c.DataDir, old[0].Name())
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	whole := *c
	whole.DataDir = filepath.Clean(c.DataDir) + ".restoring"
	if err := os.RemoveAll(whole.DataDir); err != nil { // of a restore that was cut short
		return fmt.Errorf("restore: %w", err)
	}
	if err := copyTree(ctx, from, whole.DataDir); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	count, err := whole.CheckFiles(ctx, log)
	if err != nil {
		return fmt.Errorf("restore: %s is no backup: %w", from, err)
	}
	if len(count.Problems) > 0 {
		return grid.Errorf(grid.Conflict, "restore: the ledger of %s does not balance: %s", from, strings.Join(count.Problems, "; "))
	}
	if err := os.WriteFile(filepath.Join(whole.DataDir, restoredMark), nil, 0o600); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := syncDir(whole.DataDir); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.Remove(c.DataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.Rename(whole.DataDir, c.DataDir); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return syncDir(filepath.Dir(filepath.Clean(c.DataDir)))
}

// restored reports whether the data folder was restored and not opened since.
func (c *Config) restored() (bool, error) {
	_, err := os.Stat(filepath.Join(c.DataDir, restoredMark))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// copyTree copies a folder, durably.
func copyTree(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		return copyFile(path, filepath.Join(to, rel))
	})
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

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
