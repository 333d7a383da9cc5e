package dispatch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// BodyLimit is the size that Standard Webhooks recommends to stay under.
const BodyLimit = 20 << 10

// Message is what a delivery's body is made of.
type Message struct {
	Delivery   grid.Delivery   // ID, Type, Priority, Mode and Created are used
	Ticket     grid.Ticket     //
	Assignment grid.Assignment // the unit's part of it
	Unit       grid.Unit       // the addressee
	Point      grid.Point      // zero where the ticket has none
	Source     string          // who we are, a URI reference: "/gridgate/310105"
	API        string          // base of our API as the unit reaches it, "http://host:port"; "" leaves callback_url out
	Note       string          // a sentence for a person, "" for none
	Link       string          // where a person sees the ticket, "" for none
}

// event is a CloudEvents 1.0 event. Its context attributes are read by every broker on
// the way: they name things and hold nothing about a person.
type event struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"`
	Time        time.Time `json:"time"`
	ContentType string    `json:"datacontenttype"`
	Data        bodyData  `json:"data"`
}

type bodyData struct {
	Ticket       string            `json:"ticket"`
	Case         string            `json:"case,omitempty"`
	Assignment   string            `json:"assignment,omitempty"`
	Attempt      int               `json:"attempt,omitempty"` // to be said again in answers
	Lead         bool              `json:"lead"`
	StandDown    bool              `json:"stand_down,omitempty"`
	Unit         bodyUnit          `json:"unit"`
	Event        grid.EventType    `json:"event"`
	Priority     string            `json:"priority"`
	Mode         grid.Mode         `json:"mode"`
	State        grid.TicketState  `json:"state"`
	Verification grid.Verification `json:"verification,omitempty"`
	Tier         int               `json:"tier,omitempty"`
	Title        string            `json:"title"`
	Note         string            `json:"note,omitempty"`
	Place        bodyPlace         `json:"place"`
	Times        bodyTimes         `json:"times"`
	// Members are the other detectors of the same incident, Related what stands in the way
	// (blocked fire lanes); the rest of them are counted.
	Members     []bodyMember `json:"members,omitempty"`
	Related     []bodyMember `json:"related,omitempty"`
	MoreMembers int          `json:"more_members,omitempty"`
	CallbackURL string       `json:"callback_url,omitempty"`
	Link        string       `json:"link,omitempty"`
}

type bodyUnit struct {
	ID   string        `json:"id"`
	Name string        `json:"name,omitempty"`
	Kind grid.UnitKind `json:"kind,omitempty"`
}

type bodyPlace struct {
	Words     string   `json:"words"`
	Point     string   `json:"point,omitempty"`
	Name      string   `json:"name,omitempty"`
	Building  string   `json:"building,omitempty"`
	Floor     string   `json:"floor,omitempty"`
	Room      string   `json:"room,omitempty"`
	Street    string   `json:"street,omitempty"`
	Community string   `json:"community,omitempty"`
	Cell      string   `json:"cell,omitempty"`
	Lon       *float64 `json:"lon,omitempty"`
	Lat       *float64 `json:"lat,omitempty"`
	CRS       string   `json:"crs,omitempty"`
}

// bodyMembers is how many of each a message names: within BodyLimit, whatever their words.
const bodyMembers = 20

type bodyMember struct {
	Event grid.EventType `json:"event"`
	Point string         `json:"point"`
	Words string         `json:"words"`
	At    time.Time      `json:"at"`
}

func members(all []grid.Member) (out []bodyMember) {
	for _, m := range all[:min(len(all), bodyMembers)] {
		out = append(out, bodyMember{m.Type, m.Point, shortTo(m.Place, 60), m.At.UTC()})
	}
	return out
}

type bodyTimes struct {
	Opened   time.Time `json:"opened"`
	Resolved time.Time `json:"resolved,omitzero"`
	Closed   time.Time `json:"closed,omitzero"`
	Due      time.Time `json:"due,omitzero"`
}

// Body freezes a message as CloudEvents JSON, smaller than BodyLimit whatever the
// registry holds. It is a pure function: the same message gives the same bytes.
func Body(m Message) json.RawMessage {
	t, a := m.Ticket, m.Assignment
	e := event{
		SpecVersion: "1.0",
		ID:          m.Delivery.ID,
		Source:      m.Source,
		Type:        "gridgate." + m.Delivery.Type,
		Subject:     t.ID,
		Time:        m.Delivery.Created.UTC(),
		ContentType: "application/json",
		Data: bodyData{
			Ticket: t.ID, Case: t.Case, Assignment: a.ID, Attempt: a.Attempt, Lead: a.Lead, StandDown: a.StandDown,
			Unit:  bodyUnit{m.Unit.ID, short(m.Unit.Name), m.Unit.Kind},
			Event: t.Type, Priority: m.Delivery.Priority.String(), Mode: m.Delivery.Mode,
			State: t.State, Verification: t.Verification, Tier: t.Tier,
			Title: short(t.Title), Note: short(m.Note),
			Place:   place(m),
			Times:   bodyTimes{t.Opened.UTC(), utc(t.Resolved), utc(t.Closed), utc(t.Due)},
			Link:    m.Link,
			Members: members(t.Members), Related: members(t.Related), MoreMembers: max(0, len(t.Members)-bodyMembers),
		},
	}
	if m.API != "" {
		e.Data.CallbackURL = m.API + callback(m)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		panic("dispatch: body of plain values: " + err.Error()) // strings, times, finite numbers: cannot fail
	}
	return bytes.TrimSpace(buf.Bytes())
}

// callback is where the unit answers: a ticket by moves, the question of a permit by its alarm.
func callback(m Message) string {
	if m.Delivery.Type == "permit.question" {
		return "/api/v1/alarms/" + m.Ticket.Alarm + "/answer"
	}
	return "/api/v1/tickets/" + m.Ticket.ID + "/moves"
}

// read is the inverse of Body, for connectors that say it in another form.
func read(d grid.Delivery) (bodyData, error) {
	var e event
	if err := json.Unmarshal(d.Body, &e); err != nil {
		return bodyData{}, fmt.Errorf("%w: body of delivery %s: %w", ErrNever, d.ID, err)
	}
	b := e.Data
	if b.Ticket == "" {
		b.Ticket = d.Ticket
	}
	if strings.TrimSpace(b.Title) == "" {
		b.Title = cmp.Or(d.Type, "ticket")
	}
	if strings.TrimSpace(b.Place.Words) == "" {
		b.Place.Words = cmp.Or(b.Place.Building, b.Place.Cell, b.Place.Community, b.Place.Street, "?")
	}
	if b.Priority == "" {
		b.Priority = d.Priority.String()
	}
	return b, nil
}

// languages takes a title apart, which is written "中文 / English".
func languages(title string) (zh, en string) {
	zh, en, both := strings.Cut(title, " / ")
	if !both || strings.TrimSpace(zh) == "" || strings.TrimSpace(en) == "" {
		return title, title
	}
	return zh, en
}

func place(m Message) bodyPlace {
	p := m.Point
	out := bodyPlace{
		Words: short(m.Ticket.Place), Point: m.Ticket.Point, Name: short(p.Name),
		Building: short(p.Building), Floor: short(p.Floor), Room: short(p.Room),
		Street: m.Ticket.Street, Community: m.Ticket.Community, Cell: m.Ticket.Cell,
	}
	if finite(p.Lon) && finite(p.Lat) && (p.Lon != 0 || p.Lat != 0) {
		out.Lon, out.Lat, out.CRS = &p.Lon, &p.Lat, "WGS84"
	}
	return out
}

// short bounds a text of the registry, so that the whole stays under BodyLimit.
func short(s string) string { return shortTo(s, 300) }

func shortTo(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
