package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/duty"
	"gridgate/internal/grid"
	"gridgate/internal/record"
)

// Duty is what the API asks of seats, of who has an alarm, and of handovers.
type Duty interface {
	Seats(ctx context.Context) ([]grid.Seat, error)
	SignOn(ctx context.Context, on SeatSignOn, by grid.Actor, key string) (grid.Seat, error)
	SeatBeat(ctx context.Context, seat string, b SeatBeat) (grid.Seat, error)
	SignOff(ctx context.Context, seat, session string, by grid.Actor) (grid.Seat, error)

	Take(ctx context.Context, alarm, seat string, by grid.Actor, over bool) (grid.Alarm, error)
	GiveBack(ctx context.Context, alarm, seat, reason string, by grid.Actor) (grid.Alarm, error)
	TakeTicket(ctx context.Context, ticket, seat string, by grid.Actor, over bool) (grid.Alarm, error)
	GiveBackTicket(ctx context.Context, ticket, seat, reason string, by grid.Actor) (grid.Alarm, error)

	ListHandovers(ctx context.Context, q Query) (Page[grid.Handover], error)
	Handover(ctx context.Context, id string) (grid.Handover, error)
	// MakeHandover gathers and keeps a sheet now.
	MakeHandover(ctx context.Context, note string, by grid.Actor, key string) (grid.Handover, error)
	SignHandover(ctx context.Context, id, part string, by grid.Actor, note string) (grid.Handover, error)

	DutySheet(ctx context.Context, street, building string) (*duty.Sheet, error)

	DutyDesk
}

// SeatView is a seat with its name, and how often it wants to be heard.
type SeatView struct {
	grid.Seat
	Name    grid.Text `json:"name"`
	BeatS   int       `json:"beat_s" doc:"A beat is wanted so often."`
	SilentS int       `json:"silent_s" doc:"After so long without a beat it is not watching."`
}

// SeatSignOn is how a person takes a seat.
type SeatSignOn struct {
	Seat   string `json:"-"`
	Sound  bool   `json:"sound" doc:"Sound is armed."`
	Stream bool   `json:"stream" doc:"The page's stream is live."`
	Over   bool   `json:"over,omitempty" doc:"Also where another person watches."`
	By     *As    `json:"by,omitempty" doc:"With the administrator's token: who signs on."`
}

// SeatBeat is the sign of life of a seat.
type SeatBeat struct {
	Session string `json:"session" maxLength:"100" doc:"What the sign-on gave."`
	Sound   bool   `json:"sound"`
	Stream  bool   `json:"stream"`
}

// Taking is who takes an alarm.
type Taking struct {
	Seat string `json:"seat" minLength:"1" maxLength:"40"`
	Over bool   `json:"over,omitempty" doc:"Also where another seat has it."`
	By   *As    `json:"by,omitempty" doc:"None: who sits there."`
}

// GivingBack is who gives an alarm back.
type GivingBack struct {
	Seat   string `json:"seat,omitempty" maxLength:"40" doc:"The seat that has it; not needed by a supervisor."`
	Reason string `json:"reason,omitempty" maxLength:"1000"`
	By     *As    `json:"by,omitempty"`
}

// dutyRoutes: seats, who has an alarm, handovers, and the sheet for the day the screens are dark.
func (s *Server) dutyRoutes(api huma.API) {
	route(s, api, viewers|walls, answerWithin, get("/seats", "list-seats", "duty", "Seats of the desk: who sits there, and whether it watches"), s.seats)
	on := post("/seats/{id}/sign-on", "sign-on", "duty", "Sign on to a seat")
	on.Description = "A seat watches only with its sound armed and its stream live. The answer has the session that beats want."
	route(s, api, operators, answerWithin, on, s.signOn)
	route(s, api, operators, answerWithin, post("/seats/{id}/beat", "beat-seat", "duty", "Say that a seat is there, every beat_s"), s.beatSeat)
	route(s, api, operators, answerWithin, post("/seats/{id}/sign-off", "sign-off", "duty", "Leave a seat: what it had is given back"), s.signOff)

	route(s, api, operators, answerWithin, post("/alarms/{id}/take", "take-alarm", "duty", "Take an alarm, with all others of its ticket, so that others see who has it"), s.takeAlarm)
	route(s, api, operators, answerWithin, post("/alarms/{id}/give-back", "give-back-alarm", "duty", "Give an alarm back: it is before all again"), s.giveBackAlarm)
	route(s, api, operators, answerWithin, post("/tickets/{id}/take", "take-ticket", "duty", "Take the alarms of a ticket"), s.takeTicket)
	route(s, api, operators, answerWithin, post("/tickets/{id}/give-back", "give-back-ticket", "duty", "Give the alarms of a ticket back"), s.giveBackTicket)

	list(s, api, operators, get("/handovers", "list-handovers", "duty", "Handover sheets, newest first; state open, half, signed, or unsigned"), func(ctx context.Context, q Query) (Page[grid.Handover], error) {
		d, err := s.onDuty()
		if err != nil {
			return Page[grid.Handover]{}, err
		}
		return d.ListHandovers(ctx, q)
	})
	route(s, api, operators, answerWithin, get("/handovers/{id}", "get-handover", "duty", "One handover sheet"), func(ctx context.Context, _ grid.Actor, in *idInput) (*body[grid.Handover], error) {
		d, err := s.onDuty()
		if err != nil {
			return nil, err
		}
		return answer(d.Handover(ctx, in.ID))
	})
	route(s, api, operators, answerWithin, asPDF(get("/handovers/{id}/sheet.pdf", "get-handover-pdf", "duty", "A handover sheet to print")), s.handoverPDF)
	route(s, api, operators, importWithin, post("/handovers", "make-handover", "duty", "Make a handover sheet now; at a change of shift one is made by itself"), s.makeHandover)
	sign := post("/handovers/{id}/sign", "sign-handover", "duty", "Sign a handover sheet: who goes, and who comes")
	sign.Description = "The first signature is of who goes, unless said otherwise; the second must be another person's. Then nothing of it changes any more."
	route(s, api, operators, answerWithin, sign, s.signHandover)

	sheet := asPDF(get("/duty/sheet.pdf", "get-duty-sheet", "duty", "The sheet for the day the screens are dark: desks, open tickets, points by street and building"))
	sheet.Description = "Contacts stand on it by their roles. One with numbers is asked for by POST /duty/sheet.pdf, with a reason. The same is written every night into the data folder."
	route(s, api, operators, importWithin, sheet, s.dutySheet)
	numbers := asPDF(post("/duty/sheet.pdf", "make-duty-sheet", "duty", "The same sheet with people's numbers: each is read as by a reveal, with the reason, and audited"))
	route(s, api, operators, importWithin, numbers, s.dutySheetWithNumbers)
}

func asPDF(op huma.Operation) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {Description: "Pages A4.", Content: map[string]*huma.MediaType{"application/pdf": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}}
	return op
}

func (s *Server) onDuty() (Duty, error) {
	if s.Duty == nil || s.DutyRules == nil {
		return nil, grid.Errorf(grid.Unavailable, "duty: %w", errors.ErrUnsupported)
	}
	return s.Duty, nil
}

func (s *Server) seatView(v grid.Seat) SeatView {
	rule, _ := s.DutyRules.Seat(v.ID)
	return SeatView{v, rule.Name, int(s.DutyRules.Beat / time.Second), int(s.DutyRules.Silent / time.Second)}
}

func (s *Server) seats(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[Page[SeatView]], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	all, err := d.Seats(ctx)
	out := Page[SeatView]{Items: []SeatView{}}
	for _, v := range all {
		out.Items = append(out.Items, s.seatView(v))
	}
	return answer(out, err)
}

type signOnInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Safe to repeat: the same key does it once."`
	Body SeatSignOn
}

func (s *Server) signOn(ctx context.Context, by grid.Actor, in *signOnInput) (*secretAnswer[SeatView], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	in.Body.Seat = in.ID
	v, err := d.SignOn(ctx, in.Body, in.Body.By.actor(by), scopedKey(by, in.Key))
	if err != nil {
		return nil, err
	}
	return &secretAnswer[SeatView]{"no-store", s.seatView(v)}, nil
}

type beatInput struct {
	ID   string `path:"id"`
	Body SeatBeat
}

func (s *Server) beatSeat(ctx context.Context, _ grid.Actor, in *beatInput) (*secretAnswer[SeatView], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	v, err := d.SeatBeat(ctx, in.ID, in.Body)
	if err != nil {
		return nil, err
	}
	return &secretAnswer[SeatView]{"no-store", s.seatView(v)}, nil
}

// SeatSignOff leaves a seat.
type SeatSignOff struct {
	Session string `json:"session,omitempty" maxLength:"100" doc:"What the sign-on gave; not needed by a supervisor."`
	By      *As    `json:"by,omitempty"`
}

type signOffInput struct {
	ID   string `path:"id"`
	Body SeatSignOff
}

func (s *Server) signOff(ctx context.Context, by grid.Actor, in *signOffInput) (*body[SeatView], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	v, err := d.SignOff(ctx, in.ID, in.Body.Session, in.Body.By.actor(by))
	if err != nil {
		return nil, err
	}
	v.Session = ""
	return answer(s.seatView(v), nil)
}

type takeInput struct {
	ID   string `path:"id"`
	Body Taking
}

// whoTakes is the person that is named, else who sits there.
func whoTakes(by grid.Actor, named *As) grid.Actor {
	if by.Session == "" && (named == nil || named.Name == "") {
		by.Name = ""
	}
	return named.actor(by)
}

func (s *Server) takeAlarm(ctx context.Context, by grid.Actor, in *takeInput) (*body[AlarmView], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	return shownAlarm(d.Take(ctx, in.ID, in.Body.Seat, whoTakes(by, in.Body.By), in.Body.Over))
}

func (s *Server) takeTicket(ctx context.Context, by grid.Actor, in *takeInput) (*body[AlarmView], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	return shownAlarm(d.TakeTicket(ctx, in.ID, in.Body.Seat, whoTakes(by, in.Body.By), in.Body.Over))
}

func shownAlarm(a grid.Alarm, err error) (*body[AlarmView], error) {
	if err != nil {
		return nil, err
	}
	return &body[AlarmView]{viewOf(a)}, nil
}

type giveBackInput struct {
	ID   string `path:"id"`
	Body GivingBack
}

func (s *Server) giveBackAlarm(ctx context.Context, by grid.Actor, in *giveBackInput) (*body[AlarmView], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	return shownAlarm(d.GiveBack(ctx, in.ID, in.Body.Seat, in.Body.Reason, in.Body.By.actor(by)))
}

func (s *Server) giveBackTicket(ctx context.Context, by grid.Actor, in *giveBackInput) (*body[AlarmView], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	return shownAlarm(d.GiveBackTicket(ctx, in.ID, in.Body.Seat, in.Body.Reason, in.Body.By.actor(by)))
}

// NewHandover asks for a sheet now.
type NewHandover struct {
	Note string `json:"note,omitempty" maxLength:"4000"`
	By   *As    `json:"by,omitempty"`
}

type newHandoverInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Safe to repeat: the same key does it once."`
	Body NewHandover
}

func (s *Server) makeHandover(ctx context.Context, by grid.Actor, in *newHandoverInput) (*body[grid.Handover], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	return answer(d.MakeHandover(ctx, in.Body.Note, in.Body.By.actor(by), scopedKey(by, in.Key)))
}

// HandoverSignature signs a sheet.
type HandoverSignature struct {
	As   string `json:"as,omitempty" enum:"outgoing,incoming" doc:"None: the first that signs goes, the second comes."`
	Note string `json:"note,omitempty" maxLength:"2000"`
	By   *As    `json:"by,omitempty" doc:"With the administrator's token: who signs."`
}

type signInput struct {
	ID   string `path:"id"`
	Body HandoverSignature
}

func (s *Server) signHandover(ctx context.Context, by grid.Actor, in *signInput) (*body[grid.Handover], error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	if in.Body.By == nil || in.Body.By.Name == "" {
		return nil, grid.Errorf(grid.Invalid, "by is missing: want the name of who signs")
	}
	return answer(d.SignHandover(ctx, in.ID, in.Body.As, in.Body.By.actor(by), in.Body.Note))
}

func (s *Server) handoverPDF(ctx context.Context, _ grid.Actor, in *recordInput) (*recordAnswer, error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	h, err := d.Handover(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	b, err := record.Handover(&h, in.Lang, s.Font, s.Now())
	return asPaper("handover-"+h.Made.UTC().Format("20060102-1504"), b, err)
}

func asPaper(name string, b []byte, err error) (*recordAnswer, error) {
	if err != nil {
		return nil, err
	}
	return &recordAnswer{"application/pdf", fmt.Sprintf("inline; filename=%q", name+".pdf"), "no-store", b}, nil
}

type dutySheetInput struct {
	Street   string `query:"street" doc:"Street code, 9 digits; none: of all, up to 20,000 points."`
	Building string `query:"building"`
	Lang     string `query:"lang" enum:"zh,en" default:"zh"`
}

func (s *Server) dutySheet(ctx context.Context, _ grid.Actor, in *dutySheetInput) (*recordAnswer, error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	sheet, err := d.DutySheet(ctx, in.Street, in.Building)
	if err != nil {
		return nil, err
	}
	b, err := record.DutySheet(sheet, in.Lang, s.Font, s.Now())
	return asPaper("duty-"+sheetName(in.Street), b, err)
}

func sheetName(street string) string {
	if street == "" {
		return "all"
	}
	return street
}

// SheetNumbers asks for a duty sheet with people's numbers.
type SheetNumbers struct {
	Street   string `json:"street,omitempty" maxLength:"20"`
	Building string `json:"building,omitempty" maxLength:"200"`
	Lang     string `json:"lang,omitempty" enum:"zh,en"`
	Reason   string `json:"reason" minLength:"1" maxLength:"1000" doc:"Stands on the sheet, and in the audit of each number."`
	By       *As    `json:"by" doc:"Who reads them."`
}

// maxSheetNumbers is how many numbers one sheet may hold.
const maxSheetNumbers = 300

func (s *Server) dutySheetWithNumbers(ctx context.Context, by grid.Actor, in *struct{ Body SheetNumbers }) (*recordAnswer, error) {
	d, err := s.onDuty()
	if err != nil {
		return nil, err
	}
	people, err := s.folk()
	if err != nil {
		return nil, err
	}
	if in.Body.By == nil || in.Body.By.Name == "" {
		return nil, grid.Errorf(grid.Invalid, "by is missing: want the name of who reads the numbers")
	}
	by = in.Body.By.actor(by)
	sheet, err := d.DutySheet(ctx, in.Body.Street, in.Body.Building)
	if err != nil {
		return nil, err
	}
	contacts := sheet.Contacts()
	if len(contacts) > maxSheetNumbers {
		return nil, grid.Errorf(grid.Invalid, "sheet has %d contacts: want at most %d with numbers, name a street or a building", len(contacts), maxSheetNumbers)
	}
	for _, c := range contacts {
		v, err := people.RevealContact(ctx, c.ID, by, "duty sheet: "+in.Body.Reason)
		if err != nil {
			return nil, err
		}
		c.Number = v.Number
	}
	sheet.Reason, sheet.By = in.Body.Reason, by.Name
	b, err := record.DutySheet(sheet, in.Body.Lang, s.Font, s.Now())
	return asPaper("duty-numbers-"+sheetName(in.Body.Street), b, err)
}

// Seats lists the seats of the desk.
func (c *Client) Seats(ctx context.Context) (Page[SeatView], error) {
	return call[Page[SeatView]](ctx, c, http.MethodGet, "/api/v1/seats", nil, nil)
}
