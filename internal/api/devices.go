package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// deviceRoutes: the life of a device. A technician reaches those at points of the contractor.
func (s *Server) deviceRoutes(api huma.API) {
	list(s, api, viewers|technicians, get("/devices", "list-devices", "devices", "Registered devices"), s.Store.ListDevices)
	route(s, api, viewers|technicians, answerWithin, get("/devices/{id}", "get-device", "devices", "One device, where it is installed and how it is"), s.device)
	op := post("/devices/{id}", "change-device", "devices", "Say what a device is: serial number, battery, versions. What is left out stays")
	op.Method = http.MethodPut
	route(s, api, admins|technicians, answerWithin, op, s.changeDevice)
	op = post("/devices/{id}/replace", "replace-device", "devices", "Put another device in the place of this one, which is barred")
	op.Description = "One transaction: history, rules, open tickets and alarms stay at the point; frames of the new device that wait are processed as history; " +
		"what the old one still sends is quarantined and told to the operator."
	route(s, api, admins|technicians, importWithin, op, s.replace)
	route(s, api, admins|technicians, answerWithin, post("/devices/{id}/replace/undo", "undo-replace-device", "devices", "Take back a swap of the last 24 hours: this device is at its points again, the new one is retired"), func(ctx context.Context, by grid.Actor, in *deviceActInput) (*body[grid.Swapped], error) {
		if err := s.deviceFor(ctx, by, in.ID); err != nil {
			return nil, err
		}
		out, err := s.Engine.UndoReplace(ctx, grid.Identity(in.ID), in.act(by))
		return &body[grid.Swapped]{out}, err
	})
	route(s, api, admins|technicians, answerWithin, post("/devices/{id}/move", "move-device", "devices", "Put a device at another point"), s.moveDevice)
	for _, x := range []struct {
		verb, said string
		do         func(context.Context, grid.Identity, grid.Act) (grid.Device, error)
	}{
		{"retire", "Take a device out; what it still sends is quarantined", s.Engine.RetireDevice},
		{"revive", "Take a barred or retired device back", s.Engine.ReviveDevice},
	} {
		route(s, api, admins|technicians, answerWithin, post("/devices/{id}/"+x.verb, x.verb+"-device", "devices", x.said), func(ctx context.Context, by grid.Actor, in *deviceActInput) (*body[grid.Device], error) {
			if err := s.deviceFor(ctx, by, in.ID); err != nil {
				return nil, err
			}
			d, err := x.do(ctx, grid.Identity(in.ID), in.act(by))
			return &body[grid.Device]{d}, err
		})
	}
	route(s, api, supervisors|technicians, answerWithin, post("/devices/{id}/bar", "bar-device", "devices", "Keep a device out: its credentials let nothing in at once, what it sends is quarantined; stolen opens a ticket"), s.bar)
	route(s, api, operators|technicians, answerWithin, post("/devices/{id}/notes", "note-device", "devices", "Keep a remark in the history of a device"), func(ctx context.Context, by grid.Actor, in *noteInput) (*body[grid.Change], error) {
		if err := s.deviceFor(ctx, by, in.ID); err != nil {
			return nil, err
		}
		return s.note(ctx, by, in, "", grid.Identity(in.ID))
	})
	route(s, api, operators|technicians, answerWithin, get("/devices/{id}/log", "get-device-log", "devices", "The history of a device, newest first"), func(ctx context.Context, by grid.Actor, in *logInput) (*body[Page[grid.Change]], error) {
		if err := s.deviceFor(ctx, by, in.ID); err != nil {
			return nil, err
		}
		return s.history(ctx, by, in, Query{Device: in.ID})
	})
}

// deviceFor checks that by may see a device: of another's, nobody learns that it is there.
func (s *Server) deviceFor(ctx context.Context, by grid.Actor, id string) error {
	_, err := oneOf(ctx, s, by, id, "device", s.Store.ListDevices)
	return err
}

type deviceActInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"The same key again gives the first answer."`
	Body *struct {
		Reason string    `json:"reason,omitempty" maxLength:"1000"`
		By     *As       `json:"by,omitempty"`
		At     time.Time `json:"at,omitzero" doc:"When it was done, if that was without a network."`
	} `required:"false"`
}

func (in *deviceActInput) act(by grid.Actor) grid.Act {
	if in.Body == nil {
		return actOf(by, nil, time.Time{}, "", in.Key)
	}
	return actOf(by, in.Body.By, in.Body.At, in.Body.Reason, in.Key)
}

// Described is what a device is, as far as it is said.
type Described struct {
	Serial   string       `json:"serial,omitempty" maxLength:"100"`
	Label    string       `json:"label,omitempty" maxLength:"200" doc:"Model and so on, as printed. No codes: they may hold secrets."`
	Firmware string       `json:"firmware,omitempty" maxLength:"100"`
	Hardware string       `json:"hardware,omitempty" maxLength:"100"`
	Battery  grid.Battery `json:"battery,omitzero"`
	Bought   time.Time    `json:"bought,omitzero"`
	Warranty time.Time    `json:"warranty,omitzero" doc:"Its end."`
	Owner    string       `json:"owner,omitempty" maxLength:"100"`
	Notes    string       `json:"notes,omitempty" maxLength:"2000"`
	Interval string       `json:"interval,omitempty" doc:"Reporting interval such as 20m."`
}

func (n *Described) device(s *Server) (grid.Device, error) {
	d := grid.Device{
		Serial: n.Serial, Label: n.Label, Firmware: n.Firmware, Hardware: n.Hardware, Battery: n.Battery, Bought: n.Bought, Warranty: n.Warranty,
		Owner: n.Owner, Notes: n.Notes,
	}
	if n.Label != "" && s.Codes.Read(n.Label).Secret {
		return d, grid.Errorf(grid.Invalid, "label holds a secret: want what it is called, not its code")
	}
	if n.Interval != "" {
		interval, err := time.ParseDuration(n.Interval)
		if err != nil || interval <= 0 {
			return d, grid.Errorf(grid.Invalid, "interval is %q: want a duration such as 20m", n.Interval)
		}
		d.Interval = interval
	}
	return d, nil
}

type changeDeviceInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body struct {
		Described
		Reason string    `json:"reason,omitempty" maxLength:"1000"`
		By     *As       `json:"by,omitempty"`
		At     time.Time `json:"at,omitzero"`
	}
}

func (s *Server) changeDevice(ctx context.Context, by grid.Actor, in *changeDeviceInput) (*body[grid.Device], error) {
	if err := s.deviceFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	d, err := in.Body.device(s)
	if err != nil {
		return nil, err
	}
	d.Identity = grid.Identity(in.ID)
	d, err = s.Engine.ChangeDevice(ctx, d, actOf(by, in.Body.By, in.Body.At, in.Body.Reason, in.Key))
	return &body[grid.Device]{d}, err
}

// Replacement is a swap as it is asked for.
type Replacement struct {
	With    string    `json:"with,omitempty" maxLength:"200" doc:"The identity of the new device; or its code."`
	Code    string    `json:"code,omitempty" doc:"What was scanned on the new device; it is not kept."`
	Profile string    `json:"profile,omitempty" maxLength:"100" doc:"Default: that of the old device."`
	Channel string    `json:"channel,omitempty" maxLength:"100" doc:"Only this channel. Default: all."`
	Mode    grid.Mode `json:"mode,omitempty" enum:"live,test,exercise,simulated"`
	Device  Described `json:"device,omitzero" doc:"What else is known of the new one."`
	Reason  string    `json:"reason,omitempty" maxLength:"1000"`
	By      *As       `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero" doc:"When it was done, if that was without a network: at most 7 days ago."`
}

type replaceInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body Replacement
}

func (s *Server) replace(ctx context.Context, by grid.Actor, in *replaceInput) (*body[grid.Swapped], error) {
	n := &in.Body
	if err := s.deviceFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	swap := grid.Swap{Old: grid.Identity(in.ID), With: grid.Identity(n.With), Profile: n.Profile, Channel: n.Channel, Mode: n.Mode, Act: actOf(by, n.By, n.At, n.Reason, in.Key)}
	swap.Via = "swap"
	var err error
	if swap.Details, err = n.Device.device(s); err != nil {
		return nil, err
	}
	if n.Code != "" {
		if err := s.namedBy(n, &swap); err != nil {
			return nil, err
		}
	}
	if known, err := s.Store.Device(ctx, swap.With); err == nil {
		// A spare that was somewhere of another's is not free for the taking.
		if reach, err := s.reach(ctx, by); err != nil {
			return nil, err
		} else if reach != (grid.Scope{}) && known.State != grid.Registered && s.deviceFor(ctx, by, string(swap.With)) != nil {
			return nil, grid.Errorf(grid.Conflict, "device %s is in use elsewhere", swap.With)
		}
	}
	out, err := s.Engine.Replace(ctx, swap)
	return &body[grid.Swapped]{out}, err
}

// namedBy takes the new device's identity from its code.
func (s *Server) namedBy(n *Replacement, swap *grid.Swap) error {
	read := s.Codes.Read(n.Code)
	n.Code = ""
	if len(read.Identities) == 0 {
		return grid.Errorf(grid.Invalid, "code of kind %s names no device: want the code of the new one", read.Kind)
	}
	if swap.With == "" {
		swap.With = read.Identities[0]
	}
	for _, id := range read.Identities {
		if id == swap.With {
			if swap.Details.Serial == "" {
				swap.Details.Serial = read.Serial
			}
			return nil
		}
	}
	return grid.Errorf(grid.Conflict, "code is of device %s: want that of %s", read.Identities[0], swap.With)
}

type moveDeviceInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body struct {
		Point   string    `json:"point" minLength:"1"`
		Channel string    `json:"channel,omitempty" doc:"Wanted of a device with several channels at points."`
		Reason  string    `json:"reason,omitempty" maxLength:"1000"`
		By      *As       `json:"by,omitempty"`
		At      time.Time `json:"at,omitzero"`
	}
}

func (s *Server) moveDevice(ctx context.Context, by grid.Actor, in *moveDeviceInput) (*body[grid.Device], error) {
	if err := s.deviceFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	if _, err := s.pointFor(ctx, by, in.Body.Point); err != nil {
		return nil, err
	}
	d, err := s.Engine.MoveDevice(ctx, grid.DeviceMove{Device: grid.Identity(in.ID), Point: in.Body.Point, Channel: in.Body.Channel, Act: actOf(by, in.Body.By, in.Body.At, in.Body.Reason, in.Key)})
	return &body[grid.Device]{d}, err
}

type barInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body struct {
		Reason string    `json:"reason" minLength:"1" maxLength:"1000"`
		Stolen bool      `json:"stolen,omitempty"`
		By     *As       `json:"by,omitempty"`
		At     time.Time `json:"at,omitzero"`
	}
}

func (s *Server) bar(ctx context.Context, by grid.Actor, in *barInput) (*body[grid.Device], error) {
	if err := s.deviceFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	d, err := s.Engine.BarDevice(ctx, grid.Identity(in.ID), in.Body.Stolen, actOf(by, in.Body.By, in.Body.At, in.Body.Reason, in.Key))
	return &body[grid.Device]{d}, err
}
