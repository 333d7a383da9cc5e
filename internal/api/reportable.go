package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// Reporter says what people can report, and takes a report that joins what is open already.
type Reporter interface {
	Reportable(ctx context.Context, point string) ([]grid.Reportable, error)
	HazardKinds() []grid.HazardKind
	HazardSteps() []grid.HazardStep
	SimilarTo(ctx context.Context, f grid.Filing) ([]grid.Suggestion, error)
	// FileInto is idempotent by source and external number; both or neither is done.
	FileInto(ctx context.Context, f grid.Filing, into string) (grid.Filed, error)
}

// reportableRoutes: what a desk has to know to take a report.
func (s *Server) reportableRoutes(api huma.API) {
	route(s, api, operators, answerWithin, get("/reportable", "list-reportable", "events", "What people can report: events with what they are worth now, kinds of hazard with their check-lists"), s.reportable)
	op := post("/events/similar", "find-similar", "events", "Open tickets that may be about the same as what is about to be filed, best first; nothing is filed")
	route(s, api, operators, answerWithin, op, s.similarTo)
}

type reportableInput struct {
	Point string `query:"point" doc:"With the priorities of this point's own rules."`
}

// Reportables is what people can report.
type Reportables struct {
	Sources []grid.FilingSource `json:"sources"`
	Events  []grid.Reportable   `json:"events" doc:"Worst first."`
	Hazards []grid.HazardKind   `json:"hazards"`
	Steps   []grid.HazardStep   `json:"hazard_steps" doc:"The moves of a hazard: who may, from where."`
}

func (s *Server) reportable(ctx context.Context, _ grid.Actor, in *reportableInput) (*body[Reportables], error) {
	events, err := s.Filer.Reportable(ctx, in.Point)
	return &body[Reportables]{Reportables{
		Sources: []grid.FilingSource{grid.FromHotline, grid.FromPatrol, grid.FromVideo, grid.FromPublic, grid.FromDepartment},
		Events:  events, Hazards: s.Filer.HazardKinds(), Steps: s.Filer.HazardSteps(),
	}}, err
}

// Draft is what is known of a report that is being written.
type Draft struct {
	Type grid.EventType `json:"type" minLength:"1" doc:"An event, or hazard.<kind>."`
	Mode grid.Mode      `json:"mode,omitempty"`
	Place
}

func (s *Server) similarTo(ctx context.Context, by grid.Actor, in *body[Draft]) (*body[Page[grid.Suggestion]], error) {
	n := NewFiling{Place: in.Body.Place, Mode: in.Body.Mode}
	f, err := n.filing(by)
	if err != nil {
		return nil, err
	}
	f.Type = in.Body.Type
	s.findCell(&f)
	all, err := s.Filer.SimilarTo(ctx, f)
	return &body[Page[grid.Suggestion]]{Page[grid.Suggestion]{Items: all}}, err
}

// coveredAlarms are the alarms that a window covers or has covered, newest first: what was
// asked, what was answered.
func (s *Server) coveredAlarms(ctx context.Context, by grid.Actor, in *idInput) (*body[Page[AlarmView]], error) {
	w, err := s.Store.Window(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := holds(by, &w); err != nil {
		return nil, err
	}
	asks := []Query{{Scope: grid.Scope{Street: w.Area.Street, Compound: w.Area.Compound}, Limit: 1000, Until: w.Ended}}
	if w.Area.IsZero() {
		asks = nil
	}
	for _, p := range w.Points {
		asks = append(asks, Query{Point: p, Limit: 100, Until: w.Ended})
	}
	out := Page[AlarmView]{Items: []AlarmView{}}
	for _, q := range asks {
		page, err := s.Store.ListAlarms(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, a := range page.Items {
			if a.Cover != nil && a.Cover.Window == w.ID && !slices.ContainsFunc(out.Items, func(o AlarmView) bool { return o.ID == a.ID }) {
				out.Items = append(out.Items, viewOf(a))
			}
		}
	}
	slices.SortFunc(out.Items, func(a, b AlarmView) int {
		if d := b.Raised.Compare(a.Raised); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	return &body[Page[AlarmView]]{out}, nil
}

// postureEffects is what each posture changes, from the rules.
func (s *Server) postureEffects(context.Context, grid.Actor, *struct{}) (*body[Page[grid.PostureEffects]], error) {
	out := Page[grid.PostureEffects]{Items: []grid.PostureEffects{}}
	if s.AlarmRules != nil {
		out.Items = append(out.Items, s.AlarmRules.Effects()...)
	}
	return &body[Page[grid.PostureEffects]]{out}, nil
}

// Reportable reads what people can report.
func (c *Client) Reportable(ctx context.Context, point string) (Reportables, error) {
	return call[Reportables](ctx, c, http.MethodGet, "/api/v1/reportable", url.Values{"point": {point}}, nil)
}

// FindSimilar asks for open tickets that may be about the same as a draft.
func (c *Client) FindSimilar(ctx context.Context, d Draft) (Page[grid.Suggestion], error) {
	return call[Page[grid.Suggestion]](ctx, c, http.MethodPost, "/api/v1/events/similar", nil, &content{json: d})
}
