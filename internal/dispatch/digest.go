package dispatch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// digestLines is how many tickets a digest names: within BodyLimit, whatever their words.
const digestLines = 30

// digestEvent is an event whose data is a list.
type digestEvent struct {
	event
	Data digestData `json:"data"`
}

// digestData is what every message has, for a person, and the tickets for a machine.
type digestData struct {
	bodyData
	Tickets []digestLine `json:"tickets"`
	More    int          `json:"more_tickets,omitempty"` // not named here
}

// digestLine is a ticket as the last of its messages tells it.
type digestLine struct {
	Ticket   string           `json:"ticket"`
	Case     string           `json:"case,omitempty"`
	Type     string           `json:"type"` // of its last message
	Event    grid.EventType   `json:"event"`
	Priority string           `json:"priority"`
	State    grid.TicketState `json:"state"`
	Title    string           `json:"title"`
	Place    string           `json:"place"`
	Opened   time.Time        `json:"opened"`
	At       time.Time        `json:"at"` // of that message
	Messages int              `json:"messages"`
}

// Digest freezes one message that stands for others, in their order: one line a ticket. It
// is a pure function, and smaller than BodyLimit.
func Digest(d grid.Delivery, items []grid.Delivery, u grid.Unit, source string) (json.RawMessage, error) {
	lines, err := digestOf(items)
	if err != nil {
		return nil, err
	}
	e := digestEvent{event: event{
		SpecVersion: "1.0", ID: d.ID, Source: source, Type: "gridgate." + d.Type, Subject: u.ID, Time: d.Created.UTC(), ContentType: "application/json",
	}}
	e.Data.bodyData = bodyData{
		Unit: bodyUnit{u.ID, short(u.Name), u.Kind}, Priority: d.Priority.String(), Mode: d.Mode,
		Title: fmt.Sprintf("班次汇总：%d 件工单 / Digest of a shift: %d tickets", len(lines), len(lines)), Note: short(inShort(lines)),
		Place: bodyPlace{Words: short(u.Name)}, Times: bodyTimes{Opened: items[0].Created.UTC()},
	}
	e.Data.Tickets = lines[:min(len(lines), digestLines)]
	e.Data.More = len(lines) - len(e.Data.Tickets)
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("digest %s: %w", d.ID, err)
	}
	return bytes.TrimSpace(buf.Bytes()), nil
}

func digestOf(items []grid.Delivery) (lines []digestLine, err error) {
	if len(items) == 0 {
		return nil, fmt.Errorf("digest of nothing: want messages")
	}
	at := map[string]int{}
	for _, it := range items {
		b, err := read(it)
		if err != nil {
			return nil, err
		}
		i, had := at[it.Ticket]
		if !had {
			i = len(lines)
			at[it.Ticket] = i
			lines = append(lines, digestLine{Ticket: it.Ticket})
		}
		lines[i] = digestLine{
			Ticket: it.Ticket, Case: b.Case, Type: it.Type, Event: b.Event, Priority: b.Priority, State: b.State,
			Title: shortTo(b.Title, 60), Place: shortTo(b.Place.Words, 60), Opened: b.Times.Opened, At: it.Created.UTC(), Messages: lines[i].Messages + 1,
		}
	}
	return lines, nil
}

// inShort counts the tickets by what they are about.
func inShort(lines []digestLine) string {
	n := map[string]int{}
	for _, l := range lines {
		n[l.Title]++
	}
	words := slices.Sorted(maps.Keys(n))
	slices.SortStableFunc(words, func(a, b string) int { return n[b] - n[a] })
	for i, w := range words {
		words[i] = fmt.Sprintf("%s × %d", w, n[w])
	}
	return strings.Join(words, "; ")
}
