package bulk

import (
	"context"
	"errors"
	"time"

	"gridgate/internal/grid"
)

// Sheets are put in force piece by piece, each a command of the engine.

// apply puts the rows behind m.Done in force, piece by piece.
func (j *Jobs) apply(ctx context.Context, m grid.Import) (_ grid.Import, err error) {
	c, r, problems, err := j.sheetOf(&m, m.Applied)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	found, err := j.files.report(m.ID, false)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, found.close(err == nil)) }()
	found.problems(problems)
	p := &piece{j: j, c: c, m: m, found: found, size: fewestRows}
	if len(problems) > 0 && m.Done <= 1 {
		p.next.Bad++ // the header
	}
	for {
		batch, err := r.batch(p.size)
		if err != nil {
			return p.m, err
		}
		if err := p.put(ctx, batch); err != nil || len(batch) == 0 {
			return p.m, err
		}
	}
}

// piece collects rows until they are worth a command.
type piece struct {
	j     *Jobs
	c     *checker
	m     grid.Import
	found *report
	next  grid.ImportPiece // what waits: counts of rows that change nothing
	size  int              // rows that the next is made of
}

// put judges some rows and puts what they change; no rows is the end of the sheet.
func (p *piece) put(ctx context.Context, batch []*parsed) error {
	last := len(batch) == 0
	for try := 0; ; try++ {
		no := p.j.Engine.RegistryNo()
		verdicts, err := p.c.judge(ctx, batch)
		if err != nil {
			return grid.Errorf(grid.Unavailable, "%w", err)
		}
		next, rows := p.gather(verdicts)
		if len(batch) > 0 && batch[len(batch)-1].n <= p.m.Done {
			p.report(verdicts)
			return nil // they were in force before a restart
		}
		next.Registry, next.Last = no, last
		if rows == 0 && !last && next.Same+next.Bad < mostSame {
			p.report(verdicts)
			p.next = next
			return nil
		}
		began := time.Now()
		m, err := p.j.Engine.PutImported(ctx, next)
		if grid.CodeOf(err) == grid.Conflict && err != nil && try < tries && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return err
		}
		p.report(verdicts)
		p.m, p.next = m, grid.ImportPiece{}
		p.adapt(time.Since(began), rows)
		return nil
	}
}

// adapt makes pieces as large as the state goroutine may be held up.
func (p *piece) adapt(took time.Duration, rows int) {
	if rows < p.size/2 {
		return
	}
	switch {
	case took > pieceTakes*3/2:
		p.size = max(fewestRows, p.size*2/3)
	case took < pieceTakes*2/3:
		p.size = min(mostRows, p.size*5/4+1)
	}
}

func (p *piece) report(verdicts []*verdict) {
	for _, v := range verdicts {
		p.found.problems(v.problems)
	}
}

// gather makes a piece of verdicts, over what waits already.
func (p *piece) gather(verdicts []*verdict) (next grid.ImportPiece, rows int) {
	next = p.next
	next.Import, next.By, next.From = p.m.ID, p.m.By, p.m.Done
	next.To = max(next.To, next.From)
	var changes []change
	for _, v := range verdicts {
		if v.Row <= p.m.Done {
			continue
		}
		next.To = v.Row
		switch v.Result {
		case bad:
			next.Bad++
		case same:
			next.Same++
		case changed:
			next.Changed++
		case added:
			next.Added++
		}
		next.Points = append(next.Points, v.points...)
		next.Buildings = append(next.Buildings, v.buildings...)
		next.Devices = append(next.Devices, v.devices...)
		next.Installations = append(next.Installations, v.installations...)
		if len(v.changes) > 0 {
			rows++
		}
		changes = append(changes, v.changes...)
	}
	if len(changes) > 0 {
		next.Was = packed(changes)
	}
	return next, rows
}
