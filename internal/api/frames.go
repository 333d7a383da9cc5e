package api

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// frameRoutes: raw frames, quarantine and the ledger.
func (s *Server) frameRoutes(api huma.API) {
	route(s, api, operators, answerWithin, get("/frames", "list-frames", "frames", "Frames exactly as they came off the wire, newest first"), s.frames)
	route(s, api, operators, answerWithin, get("/quarantine", "list-quarantine", "quarantine", "Frames that no retry can save, with their reasons"), s.quarantine)
	route(s, api, supervisors, importWithin, post("/quarantine/replay", "replay-quarantine", "quarantine", "Process frames again, as if they came now"), s.replay)
	route(s, api, supervisors, answerWithin, post("/quarantine/discard", "discard-quarantine", "quarantine", "Give frames up, with a reason"), s.discard)
	route(s, api, viewers|walls, answerWithin, get("/ledger", "get-ledger", "ledger", "The count that must always balance"), s.ledger)
}

// Frame is a frame for people and programs: raw bytes in hex.
type Frame struct {
	Pos       string        `json:"pos,omitempty" doc:"lane/epoch/sequence"`
	Device    grid.Identity `json:"device,omitempty"`
	Transport string        `json:"transport"`
	Source    string        `json:"source"`
	Address   string        `json:"address,omitempty" doc:"MQTT topic, CoAP path, serial slave"`
	Envelope  string        `json:"envelope,omitempty"`
	Flags     []string      `json:"flags,omitempty" enum:"retained,redelivered,unacknowledged,refused,marker"`
	Note      string        `json:"note,omitempty"`
	Received  time.Time     `json:"received"`
	Bytes     int           `json:"bytes"`
	Raw       string        `json:"raw" doc:"hexadecimal"`
	Trace     string        `json:"trace,omitempty" doc:"Of the frame's way, where a collector of OpenTelemetry is told of it."`
}

var flagNames = [...]struct {
	flag grid.FrameFlags
	name string
}{
	{grid.Retained, "retained"}, {grid.Redelivered, "redelivered"}, {grid.Unacknowledged, "unacknowledged"},
	{grid.Refused, "refused"}, {grid.Marker, "marker"},
}

// viewFrame is f for people.
func viewFrame(f *grid.Frame) Frame {
	v := Frame{
		Device: f.Identity, Transport: f.Transport, Source: f.Source, Address: f.Address, Envelope: f.Envelope,
		Note: f.Note, Received: f.Received, Bytes: len(f.Raw), Raw: hex.EncodeToString(f.Raw),
	}
	if !f.Pos.IsZero() {
		v.Pos = f.Pos.String()
	}
	for _, n := range flagNames {
		if f.Flags&n.flag != 0 {
			v.Flags = append(v.Flags, n.name)
		}
	}
	return v
}

// traceOf is the id of a frame's trace; "" where nobody is told of its way.
func (s *Server) traceOf(p grid.Pos) string {
	if s.TraceOf == nil {
		return ""
	}
	id, _ := s.TraceOf(p)
	return id
}

type framesInput struct {
	Device string    `query:"device" doc:"Identity; without it, the newest of a lane."`
	Lane   string    `query:"lane" enum:"safety,bulk" default:"bulk" doc:"Without a device."`
	Since  time.Time `query:"since"`
	Until  time.Time `query:"until"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (s *Server) frames(ctx context.Context, _ grid.Actor, in *framesInput) (*body[Page[Frame]], error) {
	read := func() ([]grid.Frame, error) {
		if in.Device != "" {
			s.lookedAtDevice(ctx, grid.Identity(in.Device))
			return s.Frames.ByDevice(ctx, grid.Identity(in.Device), in.Since, in.Until, in.Limit)
		}
		if !in.Since.IsZero() || !in.Until.IsZero() {
			return nil, grid.Errorf(grid.Invalid, "since or until without a device: want device=<identity>, or neither")
		}
		lane, err := grid.ParseLane(in.Lane)
		if err != nil {
			return nil, err
		}
		return s.Frames.Recent(ctx, lane, in.Limit)
	}
	found, err := read()
	if err != nil {
		return nil, err
	}
	page := Page[Frame]{Items: make([]Frame, len(found))}
	for i := range found {
		page.Items[i] = viewFrame(&found[i])
		page.Items[i].Trace = s.traceOf(found[i].Pos)
	}
	return &body[Page[Frame]]{page}, nil
}

// Quarantined is a frame in quarantine with its bytes.
type Quarantined struct {
	grid.QuarantinedFrame
	Raw Frame `json:"frame"`
}

func (s *Server) quarantine(ctx context.Context, by grid.Actor, in *listInput) (*body[Page[Quarantined]], error) {
	found, err := s.Store.ListQuarantine(ctx, in.query(by))
	if err != nil {
		return nil, err
	}
	page := Page[Quarantined]{Items: make([]Quarantined, len(found.Items)), Next: found.Next}
	for i := range found.Items {
		page.Items[i] = Quarantined{found.Items[i], viewFrame(&found.Items[i].Frame)}
		if of := found.Items[i].Frame.Identity; i == 0 || of != found.Items[i-1].Frame.Identity {
			s.lookedAtDevice(ctx, of)
		}
	}
	return &body[Page[Quarantined]]{page}, nil
}

type replayInput struct {
	Body struct {
		IDs     []string `json:"ids,omitempty" maxItems:"10000"`
		Profile string   `json:"profile,omitempty" doc:"All frames of this profile's devices, instead of ids."`
		By      *As      `json:"by,omitempty"`
	}
}

func (s *Server) replay(ctx context.Context, by grid.Actor, in *replayInput) (*body[Replayed], error) {
	if (len(in.Body.IDs) == 0) == (in.Body.Profile == "") {
		return nil, grid.Errorf(grid.Invalid, "want ids or a profile, one of them")
	}
	if in.Body.Profile != "" {
		n, still, err := s.Workbench.ReplayOf(ctx, in.Body.Profile, in.Body.By.actor(by))
		return &body[Replayed]{Replayed{Replayed: n, Still: still}}, err
	}
	n, err := s.Engine.Replay(ctx, in.Body.IDs, in.Body.By.actor(by))
	return &body[Replayed]{Replayed{Replayed: n, Still: len(in.Body.IDs) - n}}, err
}

type discardInput struct {
	Body struct {
		IDs    []string `json:"ids" minItems:"1" maxItems:"10000"`
		Reason string   `json:"reason" minLength:"3" maxLength:"1000"`
		By     *As      `json:"by,omitempty"`
	}
}

// Discarded says how many frames were given up.
type Discarded struct {
	Discarded int `json:"discarded"`
}

func (s *Server) discard(ctx context.Context, by grid.Actor, in *discardInput) (*body[Discarded], error) {
	n, err := s.Engine.Discard(ctx, in.Body.IDs, in.Body.By.actor(by), in.Body.Reason)
	return &body[Discarded]{Discarded{n}}, err
}

// Ledger is the count: per lane, accepted = the rows' outcomes + waiting.
type Ledger struct {
	Rows     []LedgerRow  `json:"rows"`
	Lanes    []LedgerLane `json:"lanes"`
	Lost     int64        `json:"lost_unackable" doc:"From wires without an acknowledgement: never accepted, not in the balance."`
	Balanced bool         `json:"balanced"`
}

// LedgerRow counts where the frames of one source ended.
type LedgerRow struct {
	Transport   string `json:"transport"`
	Source      string `json:"source"`
	Lane        string `json:"lane"`
	Processed   int64  `json:"processed"`
	Duplicate   int64  `json:"duplicate"`
	Ignored     int64  `json:"ignored"`
	Quarantined int64  `json:"quarantined"`
	Discarded   int64  `json:"discarded"`
}

// LedgerLane is the other side of the count.
type LedgerLane struct {
	Lane     string `json:"lane"`
	Accepted int64  `json:"accepted"`
	Waiting  int64  `json:"waiting"`
}

// ViewLedger is l for people and programs.
func ViewLedger(l grid.Ledger) Ledger {
	v := Ledger{Rows: []LedgerRow{}, Lost: l.Lost, Balanced: l.Balanced()}
	for _, r := range l.Rows {
		v.Rows = append(v.Rows, LedgerRow{
			Transport: r.Transport, Source: r.Source, Lane: r.Lane.String(),
			Processed: r.Counts[grid.Processed], Duplicate: r.Counts[grid.Duplicate], Ignored: r.Counts[grid.IgnoredFrame],
			Quarantined: r.Counts[grid.Quarantined], Discarded: r.Counts[grid.Discarded],
		})
	}
	for lane := range grid.Lane(grid.Lanes) {
		v.Lanes = append(v.Lanes, LedgerLane{lane.String(), l.Accepted[lane], l.Waiting[lane]})
	}
	return v
}

func (s *Server) ledger(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[Ledger], error) {
	l, err := s.Engine.Ledger(ctx)
	return &body[Ledger]{ViewLedger(l)}, err
}
