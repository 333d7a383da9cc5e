package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/contractor"
	"gridgate/internal/grid"
)

// contractorRoutes: who has which points in hands, how they do, and the battery season.
func (s *Server) contractorRoutes(api huma.API) {
	route(s, api, operators|technicians, answerWithin, get("/contractors", "list-contractors", "contractors", "Units of kind maintenance with their terms and the contracts that hold; a unit sees itself"), s.contractors)
	assign := post("/contractors/{id}/points", "assign-contractor", "contractors", "Give the points of a place into a contractor's hands")
	assign.Description = "id is the contractor as points name it (- : nobody). Present points move now, future ones when they are registered without a contractor; " +
		"contracts for parts of that place end. Open tickets stay with whoever has them, unless tickets is true. The answer's done is missing while points are still being moved: the same again says how far it is."
	route(s, api, admins, answerWithin, assign, s.assignContractor)
	list(s, api, operators|technicians, get("/contracts", "list-contracts", "contractors", "Which place is in whose hands, newest first; state open or ended"),
		func(ctx context.Context, q Query) (Page[grid.Contract], error) { return s.Store.ListContracts(ctx, q) })
	route(s, api, operators|technicians, figuresWithin, get("/contractors/{id}/scoreboard", "get-scoreboard", "contractors", "How a contractor did in a period, beside the one before; its own alone for a unit"),
		func(ctx context.Context, by grid.Actor, in *scoreInput) (*body[contractor.Scoreboard], error) {
			b, err := s.scoreboard(ctx, by, in)
			return &body[contractor.Scoreboard]{b}, err
		})
	route(s, api, operators|technicians, figuresWithin, get("/contractors/{id}/scoreboard.csv", "get-scoreboard-csv", "contractors", "The same as a table that a spreadsheet opens"), s.scoreboardCSV)
	route(s, api, operators|technicians, figuresWithin, get("/batteries/season", "get-battery-season", "contractors", "Batteries of a place that end within so many days: by building and type, what to buy, on which days"),
		func(ctx context.Context, by grid.Actor, in *seasonInput) (*body[contractor.Season], error) {
			out, err := s.season(ctx, by, in)
			return &body[contractor.Season]{out}, err
		})
	route(s, api, operators|technicians, figuresWithin, get("/batteries/season.csv", "get-battery-season-csv", "contractors", "The same as a table that a spreadsheet opens"), s.seasonCSV)
}

// ContractorView is a contractor and what is in its hands.
type ContractorView struct {
	Unit      MeUnit          `json:"unit"`
	InHands   string          `json:"in_hands" doc:"How its points name it."`
	Scope     grid.Scope      `json:"scope"`
	Mode      grid.Mode       `json:"mode"`
	Term      *grid.Term      `json:"term"`
	Works     bool            `json:"works" doc:"It is in its term now."`
	Contracts []grid.Contract `json:"contracts"`
}

func (s *Server) contractors(ctx context.Context, by grid.Actor, _ *struct{}) (*body[Page[ContractorView]], error) {
	q := Query{Kind: string(grid.Maintenance), Limit: 1000}
	if by.Role == grid.RoleUnit {
		q.ID = by.Unit
	}
	units, err := s.Store.ListUnits(ctx, q)
	if err != nil {
		return nil, err
	}
	contracts, err := s.Store.ListContracts(ctx, Query{State: "open", Limit: 1000})
	if err != nil {
		return nil, err
	}
	out := Page[ContractorView]{Items: []ContractorView{}}
	for i := range units.Items {
		u := &units.Items[i]
		v := ContractorView{Unit: MeUnit{u.ID, u.Name, u.Kind}, InHands: u.InHands(), Scope: u.Scope, Mode: u.Mode, Works: u.Term.Has(s.Now()), Contracts: []grid.Contract{}}
		if !u.Term.IsZero() {
			v.Term = &u.Term
		}
		for _, c := range contracts.Items {
			if c.Contractor == v.InHands {
				v.Contracts = append(v.Contracts, c)
			}
		}
		out.Items = append(out.Items, v)
	}
	return &body[Page[ContractorView]]{out}, nil
}

// NewContract is a place as it is given into a contractor's hands.
type NewContract struct {
	District  string    `json:"district,omitempty"`
	Street    string    `json:"street,omitempty"`
	Community string    `json:"community,omitempty"`
	Compound  string    `json:"compound,omitempty"`
	Kind      grid.Kind `json:"kind,omitempty" enum:"door,parking,manhole,smoke" doc:"Only points of this kind."`
	Tickets   bool      `json:"tickets,omitempty" doc:"Open tickets go along."`
	By        *As       `json:"by,omitempty"`
}

type assignInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body NewContract
}

// nobody stands for no contractor in a path.
const nobody = "-"

func (s *Server) assignContractor(ctx context.Context, by grid.Actor, in *assignInput) (*body[grid.Contract], error) {
	n := &in.Body
	name := in.ID
	if name == nobody {
		name = ""
	}
	c, err := s.Engine.AssignContractor(ctx, grid.Contract{
		Scope: grid.Scope{District: n.District, Street: n.Street, Community: n.Community, Compound: n.Compound, Contractor: name},
		Kind:  n.Kind, Tickets: n.Tickets, By: n.By.actor(by),
	}, scopedKey(by, in.Key))
	return &body[grid.Contract]{c}, err
}

type scoreInput struct {
	ID   string    `path:"id"`
	From time.Time `query:"from" doc:"Default: the first of this month."`
	To   time.Time `query:"to" doc:"Default: the end of the month in which from lies."`
}

func (s *Server) scoreboard(ctx context.Context, by grid.Actor, in *scoreInput) (contractor.Scoreboard, error) {
	if by.Role == grid.RoleUnit && by.Unit != in.ID {
		return contractor.Scoreboard{}, grid.Errorf(grid.NotFound, "contractor %q is not known", in.ID)
	}
	if s.Scores == nil {
		return contractor.Scoreboard{}, grid.Errorf(grid.Unavailable, "this gateway makes no figures")
	}
	return s.Scores(ctx, in.ID, in.From, in.To)
}

func (s *Server) scoreboardCSV(ctx context.Context, by grid.Actor, in *scoreInput) (*file, error) {
	b, err := s.scoreboard(ctx, by, in)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := b.WriteCSV(&out); err != nil {
		return nil, err
	}
	return csvFile("scoreboard-"+in.ID, out.Bytes()), nil
}

func csvFile(name string, b []byte) *file {
	return &file{ContentType: "text/csv; charset=utf-8", Disposition: fmt.Sprintf("attachment; filename=%q", name+".csv"), Body: b}
}

type seasonInput struct {
	Unit      string    `query:"unit" doc:"Of the points in this contractor's hands; with its own token not needed."`
	Within    int       `query:"within" minimum:"0" maximum:"365" doc:"Days ahead; default as configured."`
	From      string    `query:"from" doc:"The first day of work, for example 2026-11-24; default the next."`
	Days      int       `query:"days" minimum:"0" maximum:"250" doc:"Work days to spread it over; default 20."`
	Stops     int       `query:"stops" minimum:"0" maximum:"100" doc:"Buildings a day."`
	District  string    `query:"district"`
	Street    string    `query:"street"`
	Community string    `query:"community"`
	Compound  string    `query:"compound"`
	Kind      grid.Kind `query:"kind" enum:"door,parking,manhole,smoke"`
}

// seasonDays is over how many work days a season is spread unless said otherwise.
const seasonDays = 20

func (s *Server) season(ctx context.Context, by grid.Actor, in *seasonInput) (contractor.Season, error) {
	if by.Role == grid.RoleUnit {
		unit, err := ownUnit(by, in.Unit)
		if err != nil {
			return contractor.Season{}, err
		}
		in.Unit = unit
	}
	if in.Days == 0 {
		in.Days = seasonDays
	}
	return s.Engine.BatterySeason(ctx, grid.RoundAsk{
		Unit: in.Unit, From: in.From, Days: in.Days, Stops: in.Stops, Season: in.Within,
		Scope: grid.Scope{District: in.District, Street: in.Street, Community: in.Community, Compound: in.Compound},
	}, in.Kind)
}

func (s *Server) seasonCSV(ctx context.Context, by grid.Actor, in *seasonInput) (*file, error) {
	b, err := s.season(ctx, by, in)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := s.work().WriteSeasonCSV(&out, &b); err != nil {
		return nil, err
	}
	return csvFile("batteries", out.Bytes()), nil
}

func (s *Server) roundCSV(ctx context.Context, by grid.Actor, in *idInput) (*file, error) {
	r, err := s.roundFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := s.work().WriteRoundCSV(&out, &r); err != nil {
		return nil, err
	}
	return csvFile("round-"+r.Day, out.Bytes()), nil
}

type roundPDFInput struct {
	ID   string `path:"id"`
	Lang string `query:"lang" enum:"zh,en" default:"zh"`
}

func (s *Server) roundPDF(ctx context.Context, by grid.Actor, in *roundPDFInput) (*file, error) {
	r, err := s.roundFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	b, err := s.roundSheet(&r, in.Lang)
	if err != nil {
		return nil, err
	}
	return &file{ContentType: "application/pdf", Disposition: fmt.Sprintf("inline; filename=%q", "round-"+r.Day+".pdf"), Body: b}, nil
}

// Contractors lists contractors with what is in their hands.
func (c *Client) Contractors(ctx context.Context) (Page[ContractorView], error) {
	return call[Page[ContractorView]](ctx, c, http.MethodGet, "/api/v1/contractors", nil, nil)
}

// AssignContractor gives the points of a place into a contractor's hands; "" is nobody's.
func (c *Client) AssignContractor(ctx context.Context, name string, n NewContract, key string) (grid.Contract, error) {
	if name == "" {
		name = nobody
	}
	return call[grid.Contract](ctx, c, http.MethodPost, "/api/v1/contractors/"+url.PathEscape(name)+"/points", nil, &content{json: n, key: key})
}

// Scoreboard reads how a contractor did.
func (c *Client) Scoreboard(ctx context.Context, unit string, from, to time.Time) (contractor.Scoreboard, error) {
	return call[contractor.Scoreboard](ctx, c, http.MethodGet, "/api/v1/contractors/"+url.PathEscape(unit)+"/scoreboard", period(from, to), nil)
}

func period(from, to time.Time) url.Values {
	v := url.Values{}
	for key, at := range map[string]time.Time{"from": from, "to": to} {
		if !at.IsZero() {
			v.Set(key, stamp(at))
		}
	}
	return v
}

// BatterySeason reads which batteries end; v are the parameters of GET /batteries/season.
func (c *Client) BatterySeason(ctx context.Context, v url.Values) (contractor.Season, error) {
	return call[contractor.Season](ctx, c, http.MethodGet, "/api/v1/batteries/season", v, nil)
}

// RawFile reads one of the files that the API makes: a list or table of a round, a season, a
// scoreboard.
func (c *Client) RawFile(ctx context.Context, path string, v url.Values) ([]byte, error) {
	return do(ctx, c, http.MethodGet, "/api/v1"+path, v, nil, importWithin+answerWithin)
}

// Tasks lists the open tickets that a contractor leads, the first to be done first; "": what the desk must do.
func (c *Client) Tasks(ctx context.Context, q Query) (Page[WorkTask], error) {
	return List[WorkTask](ctx, c, "tasks", q)
}

// PlanRounds bundles the work of a contractor.
func (c *Client) PlanRounds(ctx context.Context, n NewRounds, key string) (grid.RoundPlan, error) {
	return call[grid.RoundPlan](ctx, c, http.MethodPost, "/api/v1/rounds/plan", nil, &content{json: n, key: key})
}

// Round reads one round.
func (c *Client) Round(ctx context.Context, id string) (grid.Round, error) {
	return call[grid.Round](ctx, c, http.MethodGet, "/api/v1/rounds/"+url.PathEscape(id), nil, nil)
}

// CancelRound gives a round up.
func (c *Client) CancelRound(ctx context.Context, id, reason string) (grid.Round, error) {
	return call[grid.Round](ctx, c, http.MethodPost, "/api/v1/rounds/"+url.PathEscape(id)+"/cancel", nil, &content{json: map[string]string{"reason": reason}})
}

// StopDone reports a stop done.
func (c *Client) StopDone(ctx context.Context, round string, stop int, d StopDone, key string) (grid.Round, error) {
	return call[grid.Round](ctx, c, http.MethodPost, fmt.Sprintf("/api/v1/rounds/%s/stops/%d/done", url.PathEscape(round), stop), nil, &content{json: d, key: key})
}

// NoEntry reports that nobody opened at a stop.
func (c *Client) NoEntry(ctx context.Context, round string, stop int, n NewNoEntry, key string) (grid.NoEntry, error) {
	return call[grid.NoEntry](ctx, c, http.MethodPost, fmt.Sprintf("/api/v1/rounds/%s/stops/%d/no-entry", url.PathEscape(round), stop), nil, &content{json: n, key: key})
}

// ApproveNoEntry lets the clocks of a no entry stand still.
func (c *Client) ApproveNoEntry(ctx context.Context, id string) (grid.NoEntry, error) {
	return call[grid.NoEntry](ctx, c, http.MethodPost, "/api/v1/no-entries/"+url.PathEscape(id)+"/approve", nil, &content{json: struct{}{}})
}
