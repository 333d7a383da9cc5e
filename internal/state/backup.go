package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"gridgate/internal/grid"
)

// backupPages is how much is copied between two looks at ctx: 1 MB.
const backupPages = 256

// Backup writes the state as of one commit to a new file at dest, checked and synced.
// Commits go on meanwhile; what they write stays in the WAL until the backup is done.
// To restore, put the file in the place of the state file and open it.
func (s *Store) Backup(ctx context.Context, dest string) (err error) {
	return CopyFile(ctx, s.path, dest)
}

// CopyFile is Backup of an SQLite file that others may write meanwhile: of the state, or of
// another file of ours.
func CopyFile(ctx context.Context, path, dest string) (err error) {
	if _, err := os.Stat(dest); err == nil {
		return grid.Errorf(grid.Conflict, "backup state: %s is there already: want a new file", dest)
	}
	part := dest + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("backup state: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("backup state: %w", err)
			_ = os.Remove(part) // what is left of it is no backup
		}
	}()
	if err := makeFile(part); err != nil {
		return err
	}
	if err := copyTo(ctx, path, part); err != nil {
		return err
	}
	if err := checkCopy(ctx, part); err != nil {
		return err
	}
	if err := os.Rename(part, dest); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dest))
}

// copyTo copies the pages of one snapshot. The snapshot is held open, so that a commit
// between two steps does not make the copy begin anew.
func copyTo(ctx context.Context, path, part string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, dsn(path, "ro"))
	if err != nil {
		return err
	}
	copying := func() error {
		begins := func(r *row) error { r.num(); return r.err } // a transaction begins with its first read
		if err := each(ctx, conn, "SELECT count(*) FROM sqlite_schema", nil, begins); err != nil {
			return err
		}
		abs, err := filepath.Abs(part)
		if err != nil {
			return err
		}
		b, err := conn.(interface {
			NewBackup(string) (*sqlite.Backup, error)
		}).NewBackup(dsn(abs, "rw"))
		if err != nil {
			return err
		}
		for more := true; more && err == nil; {
			if err = ctx.Err(); err == nil {
				more, err = b.Step(backupPages)
			}
		}
		return errors.Join(err, b.Finish())
	}
	err = errors.Join(snapshot(ctx, conn, copying), conn.Close())
	if err != nil {
		return err
	}
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// checkCopy reads the whole copy once: a backup that cannot be read is none.
func checkCopy(ctx context.Context, part string) error {
	abs, err := filepath.Abs(part)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, dsn(abs, "rw", "query_only(1)")) // rw: takes the files beside it away again
	if err != nil {
		return err
	}
	var said string
	err = each(ctx, conn, "PRAGMA quick_check(1)", nil, func(r *row) error { said = r.text(); return r.err })
	if err == nil && said != "ok" {
		err = grid.Errorf(grid.Internal, "the copy is damaged: %s", said)
	}
	return errors.Join(err, conn.Close())
}
