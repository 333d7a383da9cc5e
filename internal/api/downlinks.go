package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// downlinkRoutes: orders to devices, and how far each has come.
func (s *Server) downlinkRoutes(api huma.API) {
	op := post("/devices/{identity}/downlinks", "send-downlink", "downlinks", "Tell a device something: it is kept until it is sent, acknowledged or has failed")
	op.Description = "The answer is the downlink as it was made, state queued. What becomes of it: GET /downlinks/{id}, or the stream."
	op.DefaultStatus = http.StatusCreated
	route(s, api, supervisors, answerWithin, op, s.sendDownlink)
	list(s, api, operators, get("/downlinks", "list-downlinks", "downlinks", "Orders to devices, newest first; state open or ended stands for all such"), s.Store.ListDownlinks)
	route(s, api, operators, answerWithin, get("/downlinks/{id}", "get-downlink", "downlinks", "One order to a device, and how far it has come"),
		func(ctx context.Context, _ grid.Actor, in *idInput) (*body[grid.Downlink], error) {
			d, err := s.Store.Downlink(ctx, in.ID)
			return &body[grid.Downlink]{d}, err
		})
	route(s, api, supervisors, answerWithin, post("/downlinks/{id}/cancel", "cancel-downlink", "downlinks", "Take back what was not sent yet"), s.cancelDownlink)
}

// NewDownlink is what a device is to be told, and how.
type NewDownlink struct {
	Order     grid.Order `json:"order"`
	Confirm   bool       `json:"confirm,omitempty" doc:"Failed unless the device acknowledges it in time."`
	Once      bool       `json:"once,omitempty" doc:"Never sent again when it is not known whether it went out; without it, it may come twice."`
	ExpiresIn string     `json:"expires_in,omitempty" doc:"How long it may wait, for example 90s or 2h; default 24h, at most 720h."`
	Reason    string     `json:"reason,omitempty" maxLength:"1000"`
	By        *As        `json:"by,omitempty"`
}

type sendInput struct {
	Identity string `path:"identity"`
	Key      string `header:"Idempotency-Key" maxLength:"200" doc:"The same key again gives what has become of the first and sends nothing."`
	Body     NewDownlink
}

func (s *Server) sendDownlink(ctx context.Context, by grid.Actor, in *sendInput) (*body[grid.Downlink], error) {
	n := &in.Body
	d := grid.Downlink{
		ID: downlinkID(in.Key), Device: grid.Identity(in.Identity), Order: n.Order,
		Confirm: n.Confirm, Once: n.Once, By: n.By.actor(by), Reason: n.Reason,
	}
	if n.ExpiresIn != "" {
		wait, err := time.ParseDuration(n.ExpiresIn)
		if err != nil || wait <= 0 {
			return nil, grid.Errorf(grid.Invalid, "expires_in is %q: want how long it may wait, such as 90s or 2h", n.ExpiresIn)
		}
		d.Expires = s.Now().UTC().Add(wait)
	}
	d, err := s.Engine.Downlink(ctx, d)
	return &body[grid.Downlink]{d}, err
}

// downlinkID makes a key an id: the same key is the same downlink.
func downlinkID(key string) string {
	if key == "" {
		return ""
	}
	return grid.NewID(time.Time{}, "downlink/"+key, 0)
}

type cancelInput struct {
	ID   string `path:"id"`
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"1000"`
		By     *As    `json:"by,omitempty"`
	} `required:"false"`
}

func (s *Server) cancelDownlink(ctx context.Context, by grid.Actor, in *cancelInput) (*body[grid.Downlink], error) {
	reason := ""
	if in.Body != nil {
		reason, by = in.Body.Reason, in.Body.By.actor(by)
	}
	d, err := s.Engine.CancelDownlink(ctx, in.ID, by, reason)
	return &body[grid.Downlink]{d}, err
}

// SendDownlink tells a device something. key makes it safe to repeat; "" does not.
func (c *Client) SendDownlink(ctx context.Context, device grid.Identity, n NewDownlink, key string) (grid.Downlink, error) {
	return call[grid.Downlink](ctx, c, http.MethodPost, "/api/v1/devices/"+url.PathEscape(string(device))+"/downlinks", nil, &content{json: n, key: key})
}

// Downlink reads how far an order has come.
func (c *Client) Downlink(ctx context.Context, id string) (grid.Downlink, error) {
	return call[grid.Downlink](ctx, c, http.MethodGet, "/api/v1/downlinks/"+url.PathEscape(id), nil, nil)
}

// CancelDownlink takes an order back that was not sent yet.
func (c *Client) CancelDownlink(ctx context.Context, id, reason string) (grid.Downlink, error) {
	return call[grid.Downlink](ctx, c, http.MethodPost, "/api/v1/downlinks/"+url.PathEscape(id)+"/cancel", nil, &content{json: map[string]string{"reason": reason}})
}
