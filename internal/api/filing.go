package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

// Filer takes what people report: events and hazards. Each call that changes something is
// durable when it returns nil.
type Filer interface {
	// FileEvent and FileHazard are idempotent by source and external number.
	FileEvent(ctx context.Context, f grid.Filing) (grid.Filed, error)
	FileHazard(ctx context.Context, f grid.HazardFiling) (grid.HazardFiled, error)
	MoveHazard(ctx context.Context, m grid.HazardMove) (grid.Hazard, error)
	Similar(ctx context.Context, ticket string) ([]grid.Suggestion, error)
	Reporter
}

// Hazards is where hazards are read.
type Hazards interface {
	ListHazards(context.Context, Query) (Page[grid.Hazard], error)
	Hazard(ctx context.Context, id string) (grid.Hazard, error)
}

// filingRoutes: what people report, and hazards.
func (s *Server) filingRoutes(api huma.API) {
	if s.Filer == nil || s.Hazards == nil {
		return
	}
	file := post("/events", "file-event", "events", "File an event that a person reported: hotline, patrol, video, another system")
	file.Description = "Idempotent by source and external number: the same again answers what has become of the first, repeated. " +
		"Who reported it stays in the system that took the report; numbers by which somebody could be reached are masked. " +
		"duplicates are open tickets that may be about the same: nothing is merged unless somebody does (POST /tickets/{id}/moves, merge)."
	file.DefaultStatus = http.StatusCreated
	route(s, api, operators, answerWithin, file, s.fileEvent)
	s.reportableRoutes(api)
	route(s, api, operators, answerWithin, get("/tickets/{id}/similar", "list-similar", "tickets", "Open tickets that may be about the same, best first"), s.similar)

	list(s, api, operators|units, get("/hazards", "list-hazards", "hazards", "Hazards, newest first; state open, ended or overdue stands for all such, type is the level; a unit sees its own"), s.Hazards.ListHazards)
	route(s, api, operators|units, answerWithin, get("/hazards/{id}", "get-hazard", "hazards", "One hazard"),
		func(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Hazard], error) {
			h, err := s.hazardFor(ctx, by, in.ID)
			return &body[grid.Hazard]{h}, err
		})
	found := post("/hazards", "file-hazard", "hazards", "File a hazard that was found: its unit is told, its deadline runs")
	found.Description = "Idempotent by source and external number, as POST /events."
	found.DefaultStatus = http.StatusCreated
	route(s, api, operators, answerWithin, found, s.fileHazard)
	route(s, api, operators|units, answerWithin, post("/hazards/{id}/moves", "move-hazard", "hazards", "Inspect, start, rectify, re-check, extend …"), s.moveHazard)
}

// Place is where something was seen: one of these at least.
type Place struct {
	Point    string  `json:"point,omitempty" doc:"A registered point."`
	Place    string  `json:"place,omitempty" maxLength:"500" doc:"The place in words."`
	Building string  `json:"building,omitempty" maxLength:"200" doc:"As points name it: smoke there and a detector's alarm are one fire."`
	Cell     string  `json:"cell,omitempty" doc:"Unit grid cell, 15 digits."`
	Position *SeenAt `json:"position,omitempty"`
}

// SeenAt is a position on the map.
type SeenAt struct {
	Lon float64 `json:"lon"`
	Lat float64 `json:"lat"`
	CRS string  `json:"crs" doc:"WGS84, CGCS2000, GCJ02 or BD09; it becomes WGS84."`
}

// NewFiling is what every report has.
type NewFiling struct {
	Source   grid.FilingSource `json:"source" doc:"hotline, patrol, video, department (another system) or public."`
	External string            `json:"external" doc:"That system's own case number. The reporter is known there, not here."`
	Priority string            `json:"priority,omitempty" doc:"P1 to P4, never above the event's own. Default: the event's own."`
	Place
	Text string    `json:"text,omitempty" maxLength:"4000"`
	At   time.Time `json:"at,omitzero" doc:"When it was seen. Default: now."`
	Mode grid.Mode `json:"mode,omitempty" doc:"Default: as the point, else live."`
	By   *As       `json:"by,omitempty"`
}

// NewEvent is an event as a person reports it.
type NewEvent struct {
	Type grid.EventType `json:"type" doc:"One of the events of the rules that people can see, for example manhole.open."`
	Into string         `json:"into,omitempty" doc:"An open ticket that is about the same: the report is filed and merged into it at once, or refused."`
	NewFiling
}

// NewHazard is a hazard as a person found it.
type NewHazard struct {
	Kind    string   `json:"kind" doc:"One of configs/hazards.yaml, for example exit_blocked."`
	Answers []Answer `json:"answers,omitempty" doc:"To the check-list of the kind."`
	NewFiling
}

// Answer to a question of a check-list.
type Answer struct {
	Question string `json:"question"`
	Answer   string `json:"answer" doc:"yes, no or na."`
	Note     string `json:"note,omitempty" maxLength:"500"`
}

func (n *NewFiling) filing(by grid.Actor) (grid.Filing, error) {
	f := grid.Filing{
		Source: n.Source, External: n.External, Mode: n.Mode, Point: n.Point, Place: n.Place.Place, Building: n.Building, Cell: n.Cell,
		Text: n.Text, At: n.At, By: n.By.actor(by),
	}
	if p := n.Position; p != nil {
		if p.Lon == 0 && p.Lat == 0 {
			return f, grid.Errorf(grid.Invalid, "position is lon 0, lat 0: want where it is, or no position")
		}
		var err error
		if f.Lon, f.Lat, _, err = geo.ToWGS84(p.Lon, p.Lat, p.CRS); err != nil {
			return f, err
		}
		f.CRS = string(geo.WGS84)
	}
	for p := grid.Priority(1); p <= 4; p++ {
		if n.Priority == p.String() {
			f.Priority = p
		}
	}
	if n.Priority != "" && f.Priority == 0 {
		return f, grid.Errorf(grid.Invalid, "priority is %q: want P1 to P4", n.Priority)
	}
	return f, nil
}

func (s *Server) fileEvent(ctx context.Context, by grid.Actor, in *body[NewEvent]) (*body[grid.Filed], error) {
	f, err := in.Body.filing(by)
	if err != nil {
		return nil, err
	}
	f.Type = in.Body.Type
	s.findCell(&f)
	if in.Body.Into != "" {
		out, err := s.Filer.FileInto(ctx, f, in.Body.Into)
		return &body[grid.Filed]{out}, err
	}
	out, err := s.Filer.FileEvent(ctx, f)
	return &body[grid.Filed]{out}, err
}

// findCell gives a filing that names neither point nor cell the cell of its position.
func (s *Server) findCell(f *grid.Filing) {
	if f.CRS != "" && f.Cell == "" && f.Point == "" && s.Regions != nil {
		f.Cell = s.Regions.Map().At(f.Lon, f.Lat).Cell
	}
}

func (s *Server) similar(ctx context.Context, by grid.Actor, in *idInput) (*body[Page[grid.Suggestion]], error) {
	if _, err := s.ticketFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	all, err := s.Filer.Similar(ctx, in.ID)
	return &body[Page[grid.Suggestion]]{Page[grid.Suggestion]{Items: all}}, err
}

func (s *Server) fileHazard(ctx context.Context, by grid.Actor, in *body[NewHazard]) (*body[grid.HazardFiled], error) {
	f, err := in.Body.filing(by)
	if err != nil {
		return nil, err
	}
	s.findCell(&f)
	out, err := s.Filer.FileHazard(ctx, grid.HazardFiling{Filing: f, Kind: in.Body.Kind, Answers: answers(in.Body.Answers)})
	return &body[grid.HazardFiled]{out}, err
}

func answers(all []Answer) (out []grid.HazardAnswer) {
	for _, a := range all {
		out = append(out, grid.HazardAnswer{Question: a.Question, Answer: a.Answer, Note: a.Note})
	}
	return out
}

// hazardFor reads a hazard that by may see; to a unit, another's does not exist.
func (s *Server) hazardFor(ctx context.Context, by grid.Actor, id string) (grid.Hazard, error) {
	h, err := s.Hazards.Hazard(ctx, id)
	if err == nil && by.Role == grid.RoleUnit {
		if _, hidden := s.ticketFor(ctx, by, h.Ticket); hidden != nil {
			return grid.Hazard{}, grid.Errorf(grid.NotFound, "hazard %s: not found", id)
		}
	}
	return h, err
}

// HazardMove is what a unit or the desk sends. Who sends it comes from the token.
type HazardMove struct {
	Verb    grid.HazardVerb `json:"verb" enum:"inspect,photo,notify,start,rectify,recheck,pass,fail,extend,dismiss"`
	Reason  string          `json:"reason,omitempty" maxLength:"4000"`
	Answers []Answer        `json:"answers,omitempty"`
	Before  []string        `json:"before,omitempty" doc:"Photos: ids of files of the hazard's ticket (POST /tickets/{id}/evidence)."`
	After   []string        `json:"after,omitempty" doc:"Likewise."`
	Unit    string          `json:"unit,omitempty" doc:"Of notify: who rectifies it."`
	Until   time.Time       `json:"until,omitzero" doc:"Of extend: the new deadline."`
	Person  string          `json:"person,omitempty" maxLength:"200" doc:"Who was there, or who said so."`
	By      *As             `json:"by,omitempty"`
}

type hazardMoveInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"The same key again gets the same answer and changes nothing."`
	Body HazardMove
}

func (s *Server) moveHazard(ctx context.Context, by grid.Actor, in *hazardMoveInput) (*body[grid.Hazard], error) {
	if _, err := s.hazardFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	m := in.Body
	h, err := s.Filer.MoveHazard(ctx, grid.HazardMove{
		Key: scopedKey(by, in.Key), Hazard: in.ID, Verb: m.Verb, By: m.By.actor(by), At: s.Now().UTC(), Reason: m.Reason,
		Answers: answers(m.Answers), Before: m.Before, After: m.After, Unit: m.Unit, Until: m.Until, Person: m.Person,
	})
	return &body[grid.Hazard]{h}, err
}

// FileEvent files what a person reported.
func (c *Client) FileEvent(ctx context.Context, e NewEvent) (grid.Filed, error) {
	return call[grid.Filed](ctx, c, http.MethodPost, "/api/v1/events", nil, &content{json: e})
}

// Similar lists open tickets that may be about the same as one.
func (c *Client) Similar(ctx context.Context, ticket string) (Page[grid.Suggestion], error) {
	return call[Page[grid.Suggestion]](ctx, c, http.MethodGet, "/api/v1/tickets/"+url.PathEscape(ticket)+"/similar", nil, nil)
}

// FileHazard files a hazard that somebody found.
func (c *Client) FileHazard(ctx context.Context, h NewHazard) (grid.HazardFiled, error) {
	return call[grid.HazardFiled](ctx, c, http.MethodPost, "/api/v1/hazards", nil, &content{json: h})
}

// Hazard reads one hazard.
func (c *Client) Hazard(ctx context.Context, id string) (grid.Hazard, error) {
	return call[grid.Hazard](ctx, c, http.MethodGet, "/api/v1/hazards/"+url.PathEscape(id), nil, nil)
}

// MoveHazard changes a hazard. key makes it safe to repeat; "" does not.
func (c *Client) MoveHazard(ctx context.Context, id string, m HazardMove, key string) (grid.Hazard, error) {
	return call[grid.Hazard](ctx, c, http.MethodPost, "/api/v1/hazards/"+url.PathEscape(id)+"/moves", nil, &content{json: m, key: key})
}
