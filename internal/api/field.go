package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// fieldPage is how many points one page of the field pack holds.
const fieldPage = 500

// FieldPoint is a point as a phone keeps it: where it is, and what is installed there.
type FieldPoint struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Kind     grid.Kind     `json:"kind"`
	Building string        `json:"building,omitempty"`
	Floor    string        `json:"floor,omitempty"`
	Room     string        `json:"room,omitempty"`
	Address  string        `json:"address,omitempty"`
	Street   string        `json:"street,omitempty"`
	Cell     string        `json:"cell,omitempty"`
	Lon      float64       `json:"lon,omitempty"`
	Lat      float64       `json:"lat,omitempty"`
	CRS      string        `json:"crs,omitempty"`
	Device   grid.Identity `json:"device,omitempty" doc:"What is installed now, that on a main channel first."`
	Profile  string        `json:"profile,omitempty"`
}

// FieldPack is one page of what a phone needs where there is no network.
type FieldPack struct {
	Points []FieldPoint `json:"points"`
	Next   string       `json:"next,omitempty"`
}

type fieldInput struct {
	Cursor string `query:"cursor" doc:"The next of the page before."`
	Known  string `header:"If-None-Match" doc:"The ETag of this page, if it is known: 304 when it is the same."`
}

type fieldOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   FieldPack
}

// fieldRoute: the pack of a technician's phone.
func (s *Server) fieldRoute(api huma.API) {
	op := get("/field/pack", "get-field-pack", "field", "The points in a technician's hands with what is installed there, to be kept on the phone")
	op.Description = "Pages of 500, in the order of ids. Each has an ETag of its own, so that only pages that have changed are sent again."
	route(s, api, viewers|technicians, answerWithin, op, s.fieldPack)
}

func (s *Server) fieldPack(ctx context.Context, by grid.Actor, in *fieldInput) (*fieldOutput, error) {
	reach, err := s.reach(ctx, by)
	if err != nil {
		return nil, err
	}
	page, err := s.Store.ListPoints(ctx, Query{Scope: reach, State: "active", Limit: fieldPage, Cursor: in.Cursor})
	if err != nil {
		return nil, err
	}
	out := &fieldOutput{Status: http.StatusOK, Body: FieldPack{Points: make([]FieldPoint, len(page.Items)), Next: page.Next}}
	for i := range page.Items {
		if out.Body.Points[i], err = s.fieldPoint(ctx, &page.Items[i]); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(out.Body)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	out.ETag = `"` + hex.EncodeToString(sum[:12]) + `"`
	if in.Known == out.ETag {
		out.Status = http.StatusNotModified
	}
	return out, nil
}

func (s *Server) fieldPoint(ctx context.Context, p *grid.Point) (FieldPoint, error) {
	out := FieldPoint{
		ID: p.ID, Name: p.Name, Kind: p.Kind, Building: p.Building, Floor: p.Floor, Room: p.Room, Address: p.Address, Street: p.Street, Cell: p.Cell,
		Lon: p.Lon, Lat: p.Lat, CRS: p.CRS,
	}
	at, err := s.Store.ListInstallations(ctx, Query{Point: p.ID, State: "current", Limit: 100})
	if err != nil || len(at.Items) == 0 {
		return out, err
	}
	out.Device = at.Items[0].Device
	for _, i := range at.Items {
		if i.Channel == "main" {
			out.Device = i.Device
			break
		}
	}
	devices, err := s.Store.ListDevices(ctx, Query{ID: string(out.Device), Limit: 1})
	if err == nil && len(devices.Items) > 0 {
		out.Profile = devices.Items[0].Profile
	}
	return out, err
}
