package api

import (
	"context"
	"fmt"
	"io"

	"gridgate/internal/grid"
	"gridgate/internal/record"
)

const maxRecordPhotos = 4

// recordAnswer is a document.
type recordAnswer struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Cache       string `header:"Cache-Control"`
	Body        []byte
}

func (s *Server) visitRecord(ctx context.Context, by grid.Actor, in *recordInput) (*recordAnswer, error) {
	v, err := s.visitFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	if !v.Erased.IsZero() {
		return nil, wasErased("visit", v.ID, v.Erased, v.Why)
	}
	r := &record.Visit{Visit: v}
	if r.Place, err = s.Store.Point(ctx, v.Point); err != nil {
		return nil, err
	}
	if r.Device, err = s.Store.Device(ctx, v.Device); err != nil && grid.CodeOf(err) != grid.NotFound {
		return nil, err
	}
	if v.Signed != nil && v.Signed.By.Unit != "" {
		units, err := s.Store.ListUnits(ctx, Query{ID: v.Signed.By.Unit, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(units.Items) > 0 {
			r.Unit = units.Items[0].Name
		}
	}
	if r.Kept, err = s.visitPhotos(ctx, &v); err != nil {
		return nil, err
	}
	file, err := record.Draw(r, in.Lang, s.Font, s.Now())
	if err != nil {
		return nil, err
	}
	return &recordAnswer{"application/pdf", fmt.Sprintf("inline; filename=%q", "visit-"+v.ID+".pdf"), "no-store", file}, nil
}

// visitPhotos are the photos that people named in a visit, newest of each step last. One
// whose file is gone keeps its hash.
func (s *Server) visitPhotos(ctx context.Context, v *grid.Visit) (out []record.Photo, err error) {
	seen := map[string]bool{}
	for i := range v.Words {
		id := v.Words[i].Photo
		if id == "" || seen[id] || len(out) == maxRecordPhotos {
			continue
		}
		seen[id] = true
		p, err := s.VisitStore.Photo(ctx, id)
		if err != nil {
			return nil, err
		}
		kept := record.Photo{PointPhoto: p}
		if p.Erased.IsZero() {
			kept.File = s.photoFile(p.SHA256)
		}
		out = append(out, kept)
	}
	return out, nil
}

func (s *Server) photoFile(sha string) []byte {
	f, err := s.Files.Get(sha)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRecordPhoto))
	if err != nil {
		return nil
	}
	return b
}

const maxRecordPhoto = 32 << 20
