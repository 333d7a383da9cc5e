package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// DutyDesk is what the desk shows beside seats and handovers: who is on duty in the days ahead,
// and the sheets of the nights.
type DutyDesk interface {
	Plan(ctx context.Context, from, to time.Time) (DutyPlan, error)
	Nights(ctx context.Context) (DutyNights, error)
	// MakeNight writes the sheets of this day now, in place of those that it has.
	MakeNight(ctx context.Context) error
	// NightSheet reads the file of a street, or of what lies in no street ("").
	NightSheet(ctx context.Context, day, street string) ([]byte, error)
}

// DutySpell is a span in which the same persons are on duty.
type DutySpell struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Persons []string  `json:"persons"`
	Wanted  bool      `json:"wanted,omitempty" doc:"A roster says that somebody must be."`
}

// DutyWatch is who is on duty for a unit or a seat.
type DutyWatch struct {
	For      string      `json:"for"`
	Roster   string      `json:"roster,omitempty" doc:"None: there are shifts alone."`
	Hours    string      `json:"hours,omitempty" doc:"In which somebody must be on duty; none: always."`
	Fallback string      `json:"fallback,omitempty"`
	Spells   []DutySpell `json:"spells" doc:"Without a seam, at most 500."`
}

// DutyTurn is a shift of the desk.
type DutyTurn struct {
	Name string    `json:"name"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// DutyPlan is who is on duty over a time.
type DutyPlan struct {
	From      time.Time   `json:"from"`
	To        time.Time   `json:"to"`
	Zone      string      `json:"zone"`
	Calendars []string    `json:"calendars" doc:"Whose hours a shift may have."`
	Shift     *DutyTurn   `json:"shift,omitempty" doc:"The shift that runs now, after which a handover is made."`
	Next      *DutyTurn   `json:"next,omitempty"`
	Watches   []DutyWatch `json:"watches"`
}

// DutyNights are the nights whose sheets are kept.
type DutyNights struct {
	Next   time.Time    `json:"next" doc:"When the next are written."`
	Keep   int          `json:"keep"`
	Nights []DutyNight  `json:"nights" doc:"The newest first."`
	Places []DutyStreet `json:"streets" doc:"Streets that have points now."`
}

// DutyNight is one of them.
type DutyNight struct {
	Day    string      `json:"day"`
	Made   time.Time   `json:"made"`
	Sheets []DutyPaper `json:"sheets"`
}

// DutyPaper is the sheet of one street.
type DutyPaper struct {
	Street string `json:"street,omitempty" doc:"None: points that lie in no street."`
	Bytes  int64  `json:"bytes"`
}

// DutyStreet is a street with its name.
type DutyStreet struct {
	Code string `json:"code,omitempty"`
	Name string `json:"name,omitempty"`
}

func (s *Server) dutyDeskRoutes(api huma.API) {
	route(s, api, operators, answerWithin, get("/duty/plan", "get-duty-plan", "people", "Who is on duty in the days ahead, by unit and seat"), s.dutyPlan)
	route(s, api, operators, answerWithin, get("/duty/nights", "list-duty-nights", "duty", "The nights whose sheets are kept"), s.dutyNights)
	route(s, api, operators, importWithin, post("/duty/nights", "make-duty-night", "duty", "Write the sheets of this day now: one of each street"), s.makeNight)
	route(s, api, operators, importWithin, asPDF(get("/duty/nights/{day}/sheet.pdf", "get-duty-night", "duty", "The sheet of a street as it was written that night")), s.nightSheet)
}

type dutyPlanInput struct {
	Days int       `query:"days" minimum:"1" maximum:"35" default:"7"`
	From time.Time `query:"from" doc:"Default: now."`
}

func (s *Server) dutyPlan(ctx context.Context, _ grid.Actor, in *dutyPlanInput) (*body[DutyPlan], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	if in.From.IsZero() {
		in.From = s.Now().UTC()
	}
	plan, err := d.Plan(ctx, in.From, in.From.AddDate(0, 0, in.Days))
	return answer(plan, err)
}

func (s *Server) dutyNights(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[DutyNights], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	return answer(d.Nights(ctx))
}

func (s *Server) makeNight(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[DutyNights], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	if err := d.MakeNight(ctx); err != nil {
		return nil, err
	}
	return answer(d.Nights(ctx))
}

type nightInput struct {
	Day    string `path:"day" doc:"2026-11-22"`
	Street string `query:"street" doc:"Street code; none: points that lie in no street."`
}

func (s *Server) nightSheet(ctx context.Context, _ grid.Actor, in *nightInput) (*recordAnswer, error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	b, err := d.NightSheet(ctx, in.Day, in.Street)
	return asPaper("duty-"+in.Day+"-"+sheetName(in.Street), b, err)
}
