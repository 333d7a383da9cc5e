package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// Tail is the end of the journal of a copy's predecessor: what that took and the copy has not.
type Tail struct {
	Lineage string      // of the data: the same in all copies
	Lane    string      // safety or bulk
	Epoch   uint32      // of the predecessor's journal
	Frames  []TailFrame // of it, in order; none: only asks from where on they are wanted
}

// TailFrame is one of them as the journal has it.
type TailFrame struct {
	Seq       uint64        `json:"seq" minimum:"1"`
	Identity  grid.Identity `json:"identity,omitempty"`
	Transport string        `json:"transport"`
	Source    string        `json:"source,omitempty"`
	Address   string        `json:"address,omitempty"`
	Envelope  string        `json:"envelope,omitempty"`
	Flags     uint8         `json:"flags,omitempty"`
	Note      string        `json:"note,omitempty"`
	Received  time.Time     `json:"received"`
	Raw       []byte        `json:"raw,omitempty"`
}

// TailTaken is how far they are here.
type TailTaken struct {
	After uint64    `json:"after" doc:"The last sequence that is here: those after it are wanted."`
	State time.Time `json:"state,omitzero" doc:"Of the copy of the state that this gateway began with: what persons did after it is not here."`
}

// tailBytes bounds a request: a frame may have 16 MiB, and is longer in JSON.
const tailBytes = 32 << 20

type tailInput struct {
	Lineage string `query:"lineage" required:"true" maxLength:"100" doc:"Of the data: the same in all copies."`
	Lane    string `query:"lane" required:"true" enum:"safety,bulk"`
	Epoch   uint32 `query:"epoch" required:"true" minimum:"1" doc:"Of the predecessor's journal."`
}

type tailFramesInput struct {
	Lineage string `query:"lineage" required:"true" maxLength:"100" doc:"Of the data: the same in all copies."`
	Lane    string `query:"lane" required:"true" enum:"safety,bulk"`
	Epoch   uint32 `query:"epoch" required:"true" minimum:"1" doc:"Of the predecessor's journal."`
	RawBody []byte `contentType:"application/octet-stream"` // JSON: frames in the order of their sequences; not in the audit, which has who and how far
}

func (s *Server) tailRoutes(api huma.API) {
	op := get("/standby/tail", "tail", "standby", "From where on frames of the predecessor's journal are wanted")
	route(s, api, admins, importWithin, op, func(ctx context.Context, _ grid.Actor, in *tailInput) (*body[TailTaken], error) {
		return s.tail(ctx, Tail{Lineage: in.Lineage, Lane: in.Lane, Epoch: in.Epoch})
	})
	op = post("/standby/tail", "add-tail", "standby", "Take what the predecessor's journal has beyond the copy; each frame once")
	op.MaxBodyBytes = tailBytes
	route(s, api, admins, importWithin, op, func(ctx context.Context, _ grid.Actor, in *tailFramesInput) (*body[TailTaken], error) {
		var frames []TailFrame
		if err := json.Unmarshal(in.RawBody, &frames); err != nil {
			return nil, grid.Errorf(grid.Invalid, "frames: %w", err)
		}
		return s.tail(ctx, Tail{Lineage: in.Lineage, Lane: in.Lane, Epoch: in.Epoch, Frames: frames})
	})
}

func (s *Server) tail(ctx context.Context, t Tail) (*body[TailTaken], error) {
	if s.Standby == nil {
		return nil, errNoStandby()
	}
	return answer(s.Standby.Tail(ctx, t))
}

// Tail gives a gateway what its predecessor's journal has beyond the copy, or asks from where on.
func (c *Client) Tail(ctx context.Context, t Tail) (TailTaken, error) {
	v := url.Values{"lineage": {t.Lineage}, "lane": {t.Lane}, "epoch": {strconv.FormatUint(uint64(t.Epoch), 10)}}
	if len(t.Frames) == 0 {
		return call[TailTaken](ctx, c, http.MethodGet, "/api/v1/standby/tail", v, nil)
	}
	b, err := json.Marshal(t.Frames)
	if err != nil {
		return TailTaken{}, err
	}
	return call[TailTaken](ctx, c, http.MethodPost, "/api/v1/standby/tail", v, &content{raw: b})
}
