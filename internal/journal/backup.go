package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gridgate/internal/disk"
	"gridgate/internal/grid"
)

// Backup copies what is durable at this moment to dest, which must not exist, while the
// journal runs. To be of use it is taken after that of the state: a cursor past the
// journal's end is an error. A restore opens the copy with Options.RaiseEpoch.
func (l *Log) Backup(ctx context.Context, dest string) error {
	defer l.Pin()()
	if err := os.Mkdir(dest, 0o750); err != nil {
		return fmt.Errorf("journal backup: %w", err)
	}
	for _, p := range l.lanes {
		if err := p.backup(ctx, filepath.Join(dest, p.lane.String())); err != nil {
			return fmt.Errorf("journal backup: %w", err)
		}
	}
	return disk.Machine{}.SyncDir(dest)
}

// Durable is one segment file: what of it is on disk for good.
type Durable struct {
	Lane   grid.Lane
	Path   string
	Size   int64 // durable bytes; of the newest segment less than the file has
	Sealed bool  // nothing is written to it any more
}

// Durable lists what may be copied at this moment, each lane's oldest first. Hold a Pin for as
// long as it is used.
func (l *Log) Durable() (out []Durable) {
	for _, p := range l.lanes {
		for _, seg := range p.snapshot() {
			size, sealed := p.extent(seg)
			out = append(out, Durable{Lane: p.lane, Path: seg.path, Size: size, Sealed: sealed})
		}
	}
	return out
}

// Epoch is the present one.
func (l *Log) Epoch() uint32 { return l.lanes[grid.Safety].epoch }

func (s *segments) backup(ctx context.Context, dest string) error {
	if err := os.Mkdir(dest, 0o750); err != nil {
		return err
	}
	for _, seg := range s.snapshot() {
		if err := ctx.Err(); err != nil {
			return err
		}
		size, _ := s.extent(seg)
		if err := copyFile(seg.path, filepath.Join(dest, filepath.Base(seg.path)), size); err != nil {
			return err
		}
	}
	return disk.Machine{}.SyncDir(dest)
}

// copyFile copies the first size bytes of a file, durably.
func copyFile(from, to string, size int64) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.CopyN(dst, src, size); err != nil {
		return err
	}
	return dst.Sync()
}
