package gateway

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
	"strings"
	"sync"
	"time"

	"gridgate/internal/api"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// copies gives a standby what it copies: files as they grow, databases as snapshots.
type copies struct{ g *Gateway }

// snapshots are made one at a time, and the last is kept to be read.
type snapshots struct {
	sync.Mutex
	tails tails // the other way: what comes of those that this gateway is a copy of
}

// snapshotBlock is what of a database is sent at least, where anything in it has changed.
const snapshotBlock = 64 << 10

func (c copies) Standing() api.Standing { return c.g.apiStanding() }

func (c copies) snapshotDir() string { return filepath.Join(c.g.cfg.DataDir, "standby-snapshot") }

// Copies lists the evidence first, then the audit, then the journal: what the state refers to.
func (c copies) Copies(ctx context.Context) (api.Copies, error) {
	out := api.Copies{Standing: c.Standing(), Program: Version, At: time.Now().UTC(), Files: []api.CopyFile{}}
	err := walkEvidence(ctx, c.g.cfg.EvidenceDir(), func(rel string, size int64) error {
		out.Files = append(out.Files, api.CopyFile{Path: "evidence/" + filepath.ToSlash(rel), Size: size, Fixed: true})
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("standby: %w", err)
	}
	files, err := auditFiles(c.g.cfg.AuditDir())
	if err != nil {
		return out, fmt.Errorf("standby: %w", err)
	}
	for _, f := range files {
		lines := strings.HasSuffix(f.name, ".jsonl")
		size := f.size
		if f.growing {
			if size, err = wholeLines(filepath.Join(c.g.cfg.AuditDir(), f.name), size); err != nil {
				return out, fmt.Errorf("standby: %w", err)
			}
		}
		out.Files = append(out.Files, api.CopyFile{Path: "audit/" + f.name, Size: size, Fixed: lines && !f.growing, Whole: !lines})
	}
	if info, err := os.Stat(c.g.cfg.LwM2MPath()); err == nil {
		out.Files = append(out.Files, api.CopyFile{Path: filepath.Base(c.g.cfg.LwM2MPath()), Size: info.Size(), Whole: true})
	}
	for _, seg := range c.g.journal.Durable() {
		out.Files = append(out.Files, api.CopyFile{Path: "journal/" + seg.Lane.String() + "/" + filepath.Base(seg.Path), Size: seg.Size, Fixed: seg.Sealed})
	}
	return out, nil
}

// Snapshot copies the databases as of one commit each.
func (c copies) Snapshot(ctx context.Context) (api.Snapshot, error) {
	c.g.snapshots.Lock()
	defer c.g.snapshots.Unlock()
	out := api.Snapshot{Program: Version, Taken: time.Now().UTC(), Files: []api.SnapshotFile{}}
	dir := c.snapshotDir()
	if err := os.RemoveAll(dir); err != nil {
		return out, fmt.Errorf("standby: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return out, fmt.Errorf("standby: %w", err)
	}
	for _, path := range []string{c.g.cfg.StatePath(), c.g.cfg.accountsFile()} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		to := filepath.Join(dir, filepath.Base(path))
		if err := state.CopyFile(ctx, path, to); err != nil {
			return out, fmt.Errorf("standby: %w", err)
		}
		f, err := blocksOf(to)
		if err != nil {
			return out, fmt.Errorf("standby: %w", err)
		}
		out.Files = append(out.Files, f)
	}
	return out, nil
}

// blocksOf sums a file up, whole and block by block.
func blocksOf(path string) (api.SnapshotFile, error) {
	out := api.SnapshotFile{Name: filepath.Base(path), Block: snapshotBlock, Blocks: []string{}}
	f, err := os.Open(path)
	if err != nil {
		return out, err
	}
	defer f.Close()
	whole, b := sha256.New(), make([]byte, snapshotBlock)
	for {
		n, err := io.ReadFull(f, b)
		if n > 0 {
			one := sha256.Sum256(b[:n])
			whole.Write(b[:n])
			out.Size += int64(n)
			out.Blocks = append(out.Blocks, hex.EncodeToString(one[:]))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return out, err
		}
	}
	out.SHA256 = hex.EncodeToString(whole.Sum(nil))
	return out, nil
}

// Open gives bytes of a file of the lists above, and of no other.
func (c copies) Open(path string, from, size int64) (io.ReadCloser, error) {
	local := filepath.FromSlash(path)
	first, rest, _ := strings.Cut(path, "/")
	switch {
	case !filepath.IsLocal(local) || filepath.ToSlash(filepath.Clean(local)) != path:
		return nil, grid.Errorf(grid.Invalid, "path is %q: want one of the list", path)
	case first == "snapshot" && rest != "":
		local = filepath.Join(filepath.Base(c.snapshotDir()), filepath.FromSlash(rest))
	case rest == "" && path != filepath.Base(c.g.cfg.LwM2MPath()), rest != "" && !oneOf(first, "journal", "evidence", "audit"):
		return nil, grid.Errorf(grid.Forbidden, "path is %q: want one of journal, evidence, audit, snapshot", path)
	}
	f, err := os.Open(filepath.Join(c.g.cfg.DataDir, local))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, grid.Errorf(grid.NotFound, "%s is not there any more: ask for the list again", path)
	}
	if err != nil {
		return nil, fmt.Errorf("standby: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, from, size), f}, nil
}

// Fence ends this gateway.
func (c copies) Fence(f api.Fence) error { return c.g.fencedBy(f.Term, f.Lineage, f.By) }
