package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// registryRoutes: points, devices, installations, units, what is discovered, and changes to them.
func (s *Server) registryRoutes(api huma.API) {
	s.pointRoutes(api)
	s.deviceRoutes(api)
	route(s, api, operators|technicians, answerWithin, get("/points/{id}/live", "get-point-live", "points", "Newest value of each signal at a point"), s.livePoint)
	route(s, api, operators|technicians, answerWithin, get("/points/{id}/history", "get-point-history", "points", "Past values of one signal, from InfluxDB"), s.pointHistory)

	s.claimRoute(api)
	s.discoveredRoutes(api)
	s.labelRoutes(api)

	list(s, api, viewers|technicians, get("/installations", "list-installations", "devices", "Which device channel is at which point, from when to when"), s.Store.ListInstallations)
	list(s, api, viewers, get("/units", "list-units", "units", "Who handles"), s.Store.ListUnits)

	put := post("/registry", "import-registry", "registry", "Import points, devices, installations and units from a registry file (YAML or JSON): all or nothing")
	put.Method, put.MaxBodyBytes, put.BodyReadTimeout = http.MethodPut, maxImport, importWithin
	route(s, api, admins, importWithin, put, s.putRegistry)
}

func (s *Server) livePoint(ctx context.Context, by grid.Actor, in *idInput) (*body[[]grid.LiveValue], error) {
	if by.Role == grid.RoleUnit {
		if _, err := s.pointFor(ctx, by, in.ID); err != nil {
			return nil, err
		}
	}
	if p, err := s.Store.Point(ctx, in.ID); err == nil {
		s.lookedAt(ctx, &p)
	}
	values, err := s.Engine.LivePoint(ctx, in.ID)
	if values == nil {
		values = []grid.LiveValue{}
	}
	return &body[[]grid.LiveValue]{values}, err
}

type historyInput struct {
	ID     string    `path:"id"`
	Signal string    `query:"signal" required:"true" doc:"Canonical name, for example manhole.level."`
	From   time.Time `query:"from" doc:"Default: a day before to."`
	To     time.Time `query:"to" doc:"Default: now."`
	Limit  int       `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"The newest so many."`
}

// History is the past of one signal at a point, oldest first.
type History struct {
	Point   string      `json:"point"`
	Signal  grid.Signal `json:"signal"`
	UOM     string      `json:"uom,omitempty"`
	Samples []Sample    `json:"samples"`
}

func (s *Server) pointHistory(ctx context.Context, by grid.Actor, in *historyInput) (*body[History], error) {
	if s.History == nil {
		return nil, grid.Errorf(grid.Unavailable, "history: no InfluxDB is configured")
	}
	signal, err := grid.ParseSignal(in.Signal)
	if err != nil {
		return nil, err
	}
	point, err := s.pointFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	s.lookedAt(ctx, &point)
	if in.To.IsZero() {
		in.To = s.Now()
	}
	if in.From.IsZero() {
		in.From = in.To.Add(-24 * time.Hour)
	}
	if !in.From.Before(in.To) {
		return nil, grid.Errorf(grid.Invalid, "from is %s and to is %s: want from before to", in.From, in.To)
	}
	samples, err := s.History(ctx, HistoryQuery{Point: point, Signal: signal, From: in.From, To: in.To, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	if samples == nil {
		samples = []Sample{}
	}
	return &body[History]{History{Point: point.ID, Signal: signal, UOM: grid.Signals[signal].UOM, Samples: samples}}, nil
}

// DeviceView is a device with what is known around it.
type DeviceView struct {
	grid.Device
	Installations []grid.Installation `json:"installations"`
	Health        *grid.DeviceHealth  `json:"health,omitempty"` // absent: not heard since the gateway knows it
}

func (s *Server) device(ctx context.Context, by grid.Actor, in *idInput) (*body[DeviceView], error) {
	d, err := oneOf(ctx, s, by, in.ID, "device", s.Store.ListDevices)
	if err != nil {
		return nil, err
	}
	q := Query{Device: in.ID, Limit: 1000}
	if err := s.within(ctx, by, &q); err != nil {
		return nil, err
	}
	at, err := s.Store.ListInstallations(ctx, q)
	if err != nil {
		return nil, err
	}
	view := DeviceView{Device: d, Installations: append([]grid.Installation{}, at.Items...)}
	switch health, err := s.Engine.LiveDevice(ctx, d.Identity); {
	case err == nil:
		view.Health = &health
	case grid.CodeOf(err) != grid.NotFound:
		return nil, err
	}
	return &body[DeviceView]{view}, nil
}

// Replayed says how many waiting frames went back to the engine.
type Replayed struct {
	Replayed int `json:"replayed"`
	Still    int `json:"still,omitempty" doc:"Frames that were asked for and did not get through."`
}

type importInput struct {
	DryRun  bool   `query:"dry_run" doc:"Check the file and change nothing."`
	RawBody []byte `contentType:"application/yaml"`
}

// Imported counts what a registry file brought.
type Imported struct {
	Points        int  `json:"points"`
	Devices       int  `json:"devices"`
	Installations int  `json:"installations"`
	Units         int  `json:"units"`
	DryRun        bool `json:"dry_run,omitempty"`
}

func (s *Server) putRegistry(ctx context.Context, by grid.Actor, in *importInput) (*body[Imported], error) {
	r, err := s.Parse(in.RawBody)
	if err != nil {
		return nil, err
	}
	out := &body[Imported]{Imported{len(r.Points), len(r.Devices), len(r.Installations), len(r.Units), in.DryRun}}
	if in.DryRun {
		return out, nil
	}
	s.noteUnits(ctx, r.Units)
	return out, s.Engine.PutAs(ctx, r, grid.Act{By: by, Via: "import"})
}
