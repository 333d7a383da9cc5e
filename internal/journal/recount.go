package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"gridgate/internal/grid"
)

// Recount is what the files themselves say was accepted.
type Recount struct {
	// Accepted frames per source since the journal began: what the header of the
	// oldest kept segment says, and every record since.
	Accepted map[Source]uint64
	Heads    [grid.Lanes]grid.Pos
	// Missing are sequences up to the heads that neither a header nor a record accounts for.
	Missing [grid.Lanes]uint64
}

// Recount reads the whole journal. It is independent of every counter kept while
// running, and for checks, not for metrics: it takes a second per gigabyte or so.
func (l *Log) Recount(ctx context.Context) (Recount, error) {
	defer l.Pin()()
	return recount(ctx, l.read())
}

func recount(ctx context.Context, lanes [grid.Lanes]*segments) (Recount, error) {
	out := Recount{Accepted: make(map[Source]uint64)}
	for i, s := range lanes {
		got, head, err := s.recount(ctx)
		if err != nil {
			return Recount{}, fmt.Errorf("recount of the %s journal: %w", s.lane, err)
		}
		var sum uint64
		for k, n := range got {
			out.Accepted[k] = n
			sum += n
		}
		out.Heads[i] = head
		out.Missing[i] = head.Seq - min(head.Seq, sum)
	}
	return out, nil
}

func (s *segments) recount(ctx context.Context) (counts, grid.Pos, error) {
	type part struct {
		seg  *segment
		size int64
	}
	s.mu.Lock()
	head := s.head
	var parts []part
	for _, seg := range s.list {
		parts = append(parts, part{seg, seg.size})
	}
	s.mu.Unlock()

	total, based := make(counts), false
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return nil, head, err
		}
		if !based {
			h, err := loadHeader(s.disk, p.seg, s.lane)
			if err == nil {
				based, total = true, h.before // what damaged headers before it left uncounted is in it
			} else if !errors.Is(err, errBadHeader) && !errors.Is(err, fs.ErrNotExist) {
				return nil, head, err
			}
		}
		if err := p.seg.count(s.disk, s.lane, p.size, total); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, head, err
		}
	}
	return total, head, nil
}
