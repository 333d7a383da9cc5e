package api

import (
	"context"
	"net/http"
	"strings"

	"gridgate/internal/audit"
	"gridgate/internal/grid"
)

// standingOfPeople is a contact, roster or shift as it is before it is changed: of a contact all but
// the number and the name. nil: there is none.
func (s *Server) standingOfPeople(ctx context.Context, operation, id string) any {
	if s.People == nil || id == "" {
		return nil
	}
	q := Query{ID: id, Limit: 1}
	_, thing, _ := strings.Cut(operation, "-")
	switch thing {
	case "contact":
		return first(s.People.ListContacts(ctx, q))
	case "roster":
		return first(s.People.ListRosters(ctx, q))
	case "shift":
		return first(s.People.ListShifts(ctx, q))
	}
	return nil
}

func first[T any](p Page[T], err error) any {
	if err != nil || len(p.Items) == 0 {
		return nil
	}
	return p.Items[0]
}

// maxNotedUnits is how many units of one registry file stand in the audit; the registry's own
// history has all.
const maxNotedUnits = 100

// noteUnits tells the audit what units were and what they are to be, without what is secret.
func (s *Server) noteUnits(ctx context.Context, units []grid.Unit) {
	if s.Audit == nil || len(units) == 0 {
		return
	}
	was, is := []grid.Unit{}, units[:min(len(units), maxNotedUnits)]
	for _, u := range is {
		if old, err := s.Store.ListUnits(ctx, Query{ID: u.ID, Limit: 1}); err == nil {
			was = append(was, old.Items...)
		}
	}
	audit.Note(ctx, s.withoutSecrets(map[string]any{"units": was}), s.withoutSecrets(map[string]any{"units": is}))
}

// followFace begins the trail of a request to a face outside /api/v1; keep ends it. What changes
// nothing leaves no line: systems of units ask all day.
func (s *Server) followFace(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, *http.Request, func(by grid.Actor)) {
	if s.Audit == nil || r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return w, r, func(grid.Actor) {}
	}
	ctx, notes := audit.WithNotes(r.Context())
	answered := &answered{ResponseWriter: w}
	return answered, r.WithContext(ctx), func(by grid.Actor) {
		t := &trail{s: s, notes: notes, change: true}
		t.entry = audit.Entry{Act: "face " + r.Method, Object: r.URL.Path, From: From(r, s.Proxies), Outcome: audit.Done}
		t.by(by)
		switch status := answered.status; {
		case status >= http.StatusInternalServerError:
			t.refused(grid.Internal)
		case status >= http.StatusBadRequest:
			t.refused(codeOf(status))
		}
		t.keep(ctx)
	}
}

// answered remembers how a request was answered.
type answered struct {
	http.ResponseWriter
	status int
}

func (a *answered) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }
