package api

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/contractor"
	"gridgate/internal/evidence"
	"gridgate/internal/grid"
)

// RoundStore is where contracts and rounds are read.
type RoundStore interface {
	ListContracts(context.Context, Query) (Page[grid.Contract], error)
	ListRounds(context.Context, Query) (Page[grid.Round], error)
	Round(ctx context.Context, id string) (grid.Round, error)
	ListNoEntries(context.Context, Query) (Page[grid.NoEntry], error)
}

// RoundEngine changes them. Calls with a key are idempotent by it.
type RoundEngine interface {
	AssignContractor(ctx context.Context, c grid.Contract, key string) (grid.Contract, error)
	PlanRounds(ctx context.Context, ask grid.RoundAsk, key string) (grid.RoundPlan, error)
	CancelRound(ctx context.Context, id, reason string, by grid.Actor, key string) (grid.Round, error)
	StopDone(ctx context.Context, a grid.RoundAct) (grid.Round, error)
	NoEntry(ctx context.Context, a grid.RoundAct) (grid.NoEntry, error)
	ApproveNoEntry(ctx context.Context, id string, by grid.Actor, key string) (grid.NoEntry, error)
	BatterySeason(ctx context.Context, ask grid.RoundAsk, kind grid.Kind) (contractor.Season, error)
}

// roundRoutes: rounds of contractors, and visits at which nobody opened. A unit sees and
// changes its own.
func (s *Server) roundRoutes(api huma.API) {
	route(s, api, operators|technicians, answerWithin, get("/rounds", "list-rounds", "rounds", "Rounds, the last day first; state planned, under_way, done, over, cancelled, open or ended; a unit sees its own"), s.listRounds)
	route(s, api, operators|technicians, answerWithin, get("/rounds/{id}", "get-round", "rounds", "One round with its stops in the order of the route"),
		func(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Round], error) {
			r, err := s.roundFor(ctx, by, in.ID)
			return &body[grid.Round]{r}, err
		})
	route(s, api, operators|technicians, answerWithin, get("/rounds/{id}/list.csv", "get-round-csv", "rounds", "The list of a round as a table that a spreadsheet opens"), s.roundCSV)
	route(s, api, operators|technicians, answerWithin, get("/rounds/{id}/list.pdf", "get-round-pdf", "rounds", "The list of a round to print"), s.roundPDF)
	plan := post("/rounds/plan", "plan-rounds", "rounds", "Bundle the tickets of P4 of a contractor into one visit per building, on work days, in the order of a route")
	plan.Description = "What is due first goes first; work at a building where a round stops anyway joins that visit. P1 to P3 wait for no round. " +
		"What is planned after its time stands in late, what finds no place in left. With season, batteries that end within so many days are changed too."
	route(s, api, operators|technicians, importWithin, plan, s.planRounds)
	route(s, api, operators|technicians, answerWithin, post("/rounds/{id}/cancel", "cancel-round", "rounds", "Give a round up: its work waits for another"), s.cancelRound)
	route(s, api, operators|technicians, answerWithin, post("/rounds/{id}/stops/{n}/done", "stop-done", "rounds", "Report the work of a stop done: its tickets are resolved, and closed by their sensors"), s.stopDone)
	route(s, api, operators|technicians, answerWithin, post("/rounds/{id}/stops/{n}/no-entry", "stop-no-entry", "rounds", "Nobody opened: why, and when it is tried again"), s.noEntry)
	up := post("/rounds/{id}/stops/{n}/photos", "add-stop-photo", "rounds", "Keep a photo with every ticket of a stop")
	up.MaxBodyBytes, up.DefaultStatus = evidence.MaxBytes+1, http.StatusCreated
	route(s, api, operators|technicians, importWithin, up, s.stopPhoto)
	route(s, api, operators|technicians, answerWithin, get("/no-entries", "list-no-entries", "rounds", "Visits at which nobody opened, newest first; state waiting or approved; a unit sees its own"),
		func(ctx context.Context, by grid.Actor, in *listInput) (*body[Page[grid.NoEntry]], error) {
			page, err := s.Store.ListNoEntries(ctx, in.query(by))
			return &body[Page[grid.NoEntry]]{page}, err
		})
	route(s, api, supervisors, answerWithin, post("/no-entries/{id}/approve", "approve-no-entry", "rounds", "Let the clocks of its tickets stand still until the next date"),
		func(ctx context.Context, by grid.Actor, in *approveInput) (*body[grid.NoEntry], error) {
			n, err := s.Engine.ApproveNoEntry(ctx, in.ID, whoApproves(by, in), scopedKey(by, in.Key))
			return &body[grid.NoEntry]{n}, err
		})
}

func (s *Server) listRounds(ctx context.Context, by grid.Actor, in *listInput) (*body[Page[grid.Round]], error) {
	page, err := s.Store.ListRounds(ctx, in.query(by))
	return &body[Page[grid.Round]]{page}, err
}

// roundFor reads a round that by may see; to a unit, another's does not exist.
func (s *Server) roundFor(ctx context.Context, by grid.Actor, id string) (grid.Round, error) {
	r, err := s.Store.Round(ctx, id)
	if err == nil && by.Role == grid.RoleUnit && by.Unit != r.Unit {
		return grid.Round{}, grid.Errorf(grid.NotFound, "round %q is not known", id)
	}
	return r, err
}

// NewRounds says which rounds are wanted.
type NewRounds struct {
	Unit      string     `json:"unit,omitempty" doc:"The contractor; with its own token not needed."`
	From      string     `json:"from,omitempty" doc:"The first day, for example 2026-11-24; default the next work day."`
	Days      int        `json:"days,omitempty" minimum:"0" maximum:"250" doc:"Work days from then on; default 1."`
	Stops     int        `json:"stops,omitempty" minimum:"0" maximum:"100" doc:"Buildings a day, at most."`
	District  string     `json:"district,omitempty"`
	Street    string     `json:"street,omitempty" doc:"Only tickets of this street, and so on."`
	Community string     `json:"community,omitempty"`
	Compound  string     `json:"compound,omitempty"`
	Start     *grid.Spot `json:"start,omitempty" doc:"Where the way begins, in WGS84."`
	Season    int        `json:"season,omitempty" minimum:"0" maximum:"365" doc:"Days ahead in which batteries that end are changed too."`
	DryRun    bool       `json:"dry_run,omitempty"`
	By        *As        `json:"by,omitempty"`
}

type planInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body NewRounds
}

func (s *Server) planRounds(ctx context.Context, by grid.Actor, in *planInput) (*body[grid.RoundPlan], error) {
	n := &in.Body
	unit, err := ownUnit(by, n.Unit)
	if err != nil {
		return nil, err
	}
	p, err := s.Engine.PlanRounds(ctx, grid.RoundAsk{
		Unit: unit, From: n.From, Days: n.Days, Stops: n.Stops, Start: n.Start, Season: n.Season, DryRun: n.DryRun, By: n.By.actor(by),
		Scope: grid.Scope{District: n.District, Street: n.Street, Community: n.Community, Compound: n.Compound},
	}, scopedKey(by, in.Key))
	return &body[grid.RoundPlan]{p}, err
}

// ownUnit is the unit that is asked for: to a unit there is no other.
func ownUnit(by grid.Actor, asked string) (string, error) {
	switch {
	case by.Role != grid.RoleUnit && asked == "":
		return "", grid.Errorf(grid.Invalid, "unit is missing: want the contractor")
	case by.Role != grid.RoleUnit:
		return asked, nil
	case asked != "" && asked != by.Unit:
		return "", grid.Errorf(grid.Forbidden, "unit is %q: this token reaches %q alone", asked, by.Unit)
	}
	return by.Unit, nil
}

type approveInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body *struct {
		By *As `json:"by,omitempty"`
	} `required:"false"`
}

type cancelRoundInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"1000"`
		By     *As    `json:"by,omitempty"`
	}
}

func (s *Server) cancelRound(ctx context.Context, by grid.Actor, in *cancelRoundInput) (*body[grid.Round], error) {
	if _, err := s.roundFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	r, err := s.Engine.CancelRound(ctx, in.ID, in.Body.Reason, in.Body.By.actor(by), scopedKey(by, in.Key))
	return &body[grid.Round]{r}, err
}

// StopPath names a stop of a round.
type StopPath struct {
	ID string `path:"id"`
	N  int    `path:"n" minimum:"1"`
}

// StopDone is the technician's word that a stop is done.
type StopDone struct {
	Note    string    `json:"note,omitempty" maxLength:"1000"`
	Tickets []string  `json:"tickets,omitempty" maxItems:"500" doc:"Only these are done; the rest waits for another round. None: all."`
	At      time.Time `json:"at,omitzero" doc:"When it was done, if that was before now."`
	By      *As       `json:"by,omitempty"`
}

type stopDoneInput struct {
	StopPath
	Key  string    `header:"Idempotency-Key" maxLength:"200"`
	Body *StopDone `required:"false"`
}

func (s *Server) stopDone(ctx context.Context, by grid.Actor, in *stopDoneInput) (*body[grid.Round], error) {
	if _, err := s.roundFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	a := grid.RoundAct{Key: scopedKey(by, in.Key), Round: in.ID, Stop: in.N, By: by}
	if d := in.Body; d != nil {
		a.By, a.At, a.Note, a.Tickets = d.By.actor(by), d.At, d.Note, d.Tickets
	}
	r, err := s.Engine.StopDone(ctx, a)
	return &body[grid.Round]{r}, err
}

// NewNoEntry is the technician's word that nobody opened.
type NewNoEntry struct {
	Reason string    `json:"reason" minLength:"1" maxLength:"1000"`
	Photo  string    `json:"photo,omitempty" doc:"The id of a file of one of the stop's tickets."`
	Next   string    `json:"next" doc:"The day on which it is tried again, for example 2026-12-01."`
	At     time.Time `json:"at,omitzero"`
	By     *As       `json:"by,omitempty"`
}

type noEntryInput struct {
	StopPath
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body NewNoEntry
}

func (s *Server) noEntry(ctx context.Context, by grid.Actor, in *noEntryInput) (*body[grid.NoEntry], error) {
	if _, err := s.roundFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	n := &in.Body
	out, err := s.Engine.NoEntry(ctx, grid.RoundAct{
		Key: scopedKey(by, in.Key), Round: in.ID, Stop: in.N, By: n.By.actor(by), At: n.At, Note: n.Reason, Photo: n.Photo, Next: n.Next,
	})
	return &body[grid.NoEntry]{out}, err
}

type stopPhotoInput struct {
	StopPath
	Shows   string `query:"shows" enum:"near,far,reference,before,after" doc:"What the photo shows."`
	RawBody []byte `contentType:"application/octet-stream"`
}

// StopPhoto is a photo of a stop: one file behind each of its tickets.
type StopPhoto struct {
	ID    string              `json:"id" doc:"Of the first of them; for no-entry."`
	Files []grid.EvidenceFile `json:"files"`
}

func (s *Server) stopPhoto(ctx context.Context, by grid.Actor, in *stopPhotoInput) (*body[StopPhoto], error) {
	r, err := s.roundFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(r.Stops, func(st grid.Stop) bool { return st.N == in.N })
	if i < 0 {
		return nil, grid.Errorf(grid.NotFound, "stop is %d: round %s has %d", in.N, r.ID, len(r.Stops))
	}
	var tickets []string
	for _, j := range r.Stops[i].Jobs {
		if j.Ticket == "" {
			continue
		}
		if _, err := s.ticketFor(ctx, by, j.Ticket); err == nil {
			tickets = append(tickets, j.Ticket)
		}
	}
	if len(tickets) == 0 {
		return nil, grid.Errorf(grid.Conflict, "stop %d of round %s has no ticket that a photo could stand behind", in.N, r.ID)
	}
	stored, err := s.Files.Put(bytes.NewReader(in.RawBody))
	if err != nil {
		return nil, err
	}
	defer s.Files.Done(stored.SHA256)
	var out StopPhoto
	for _, t := range tickets {
		f, err := s.Engine.AddFile(ctx, grid.EvidenceFile{Ticket: t, SHA256: stored.SHA256, Bytes: stored.Bytes, Type: stored.Type, Shows: in.Shows, By: by})
		if err != nil {
			return nil, err
		}
		out.Files = append(out.Files, f)
	}
	out.ID = out.Files[0].ID
	return &body[StopPhoto]{out}, nil
}

func whoApproves(by grid.Actor, in *approveInput) grid.Actor {
	if in.Body == nil {
		return by
	}
	return in.Body.By.actor(by)
}
