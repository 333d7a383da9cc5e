package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/alarm"
	"gridgate/internal/geo"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// mapAlarms bounds how many alarms the map shows each by itself; cells count all of them.
const mapAlarms = 2000

// MapStore is what the map reads beside lists.
type MapStore interface {
	Places(ctx context.Context, points []string) ([]state.Place, error)
	OpenTicketsByCell(ctx context.Context, q Query) ([]state.OpenTickets, error)
}

// mapRoutes: what the map shows above its points.
func (s *Server) mapRoutes(api huma.API) {
	op := get("/map", "get-map", "cells", "What goes on where: counts by cell, and the alarms of the queue at their points")
	op.Description = "Alarms are those of the queue, the worst first. A cell has one row for each mode: what is not live is never counted with what is."
	route(s, api, viewers|walls, answerWithin, op, s.mapNow)
	areas := get("/map/areas", "get-map-areas", "cells", "Districts, streets and cells with borders as GeoJSON")
	areas.Description = "Properties: code, kind, name, name_en, mode, schematic, synthetic. \"attribution\" is what the sources of the borders want to be shown."
	areas.Responses = map[string]*huma.Response{
		"200": {Description: "A FeatureCollection, compressed.", Content: map[string]*huma.MediaType{"application/geo+json": {Schema: &huma.Schema{Type: huma.TypeObject}}}},
		"304": {Description: "It has not changed."},
	}
	route(s, api, viewers|technicians|walls, answerWithin, areas, s.mapAreas)
}

// MapNow is what goes on where.
type MapNow struct {
	At     time.Time   `json:"at"`
	Points int         `json:"points" doc:"How many have a position."`
	Extent *[4]float64 `json:"extent,omitempty" doc:"West, south, east, north of all points, WGS84."`
	Cells  []CellNow   `json:"cells"`
	Alarms []AlarmSpot `json:"alarms" doc:"Those whose point has a position."`
	Beside int         `json:"beside,omitempty" doc:"Alarms of things without a position: gateways, districts."`
	More   int         `json:"more,omitempty" doc:"Alarms that are counted, and too many to be shown each."`
}

// CellNow is what goes on in a cell, of one mode. Without cells it is a street's.
type CellNow struct {
	Cell     string        `json:"cell,omitempty"`
	Street   string        `json:"street,omitempty"`
	Mode     grid.Mode     `json:"mode"`
	Alarms   int           `json:"alarms,omitempty" doc:"In the queue."`
	Unacked  int           `json:"unacked,omitempty"`
	Worst    grid.Priority `json:"worst,omitempty" doc:"Of the alarms."`
	Silent   int           `json:"silent,omitempty" doc:"Devices that are not heard."`
	Tickets  int           `json:"tickets,omitempty" doc:"Open."`
	Overdue  int           `json:"overdue,omitempty" doc:"Of them."`
	Hotspots int           `json:"hotspots,omitempty" doc:"Places on the hot-spot list."`
}

// AlarmSpot is an alarm where its point is.
type AlarmSpot struct {
	ID       string         `json:"id"`
	Type     grid.EventType `json:"type"`
	Priority grid.Priority  `json:"priority"`
	Active   bool           `json:"active"`
	Acked    bool           `json:"acked"`
	Mode     grid.Mode      `json:"mode"`
	Raised   time.Time      `json:"raised"`
	Cell     string         `json:"cell,omitempty"`
	Ticket   string         `json:"ticket,omitempty"`
	Point    string         `json:"point"`
	Name     string         `json:"name"`
	Kind     grid.Kind      `json:"kind"`
	Lon      float64        `json:"lon"`
	Lat      float64        `json:"lat"`
}

func (s *Server) mapNow(ctx context.Context, by grid.Actor, in *listInput) (*body[MapNow], error) {
	q := in.query(by)
	q.Limit, q.Cursor, q.Joined = 0, "", false // a ticket is counted where it is
	now := s.Now()
	out := MapNow{At: now.UTC(), Cells: []CellNow{}, Alarms: []AlarmSpot{}}
	queue, err := s.Store.AlarmQueue(ctx, q, now)
	if err != nil {
		return nil, err
	}
	alarms := slices.DeleteFunc(queue.Alarms, func(a grid.Alarm) bool {
		return a.Covered() && a.Cover.State == grid.CoverHeld && !alarm.IsSmoke(&a)
	})
	cells := tally{}
	for i := range alarms {
		cells.alarm(&alarms[i])
	}
	if err := s.spots(ctx, alarms, &out); err != nil {
		return nil, err
	}
	tickets, err := s.Store.OpenTicketsByCell(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, t := range tickets {
		c := cells.of(t.Cell, t.Street, t.Mode)
		c.Tickets, c.Overdue = c.Tickets+t.Open, c.Overdue+t.Overdue
	}
	hot := q
	hot.State, hot.Limit = "listed", 1000 // the list has a bound of its own, far below
	spots, err := s.Store.ListHotspots(ctx, hot)
	if err != nil {
		return nil, err
	}
	for _, h := range spots.Items {
		cells.of(h.Cell, h.Street, h.Mode).Hotspots++
	}
	out.Cells = cells.rows(out.Cells)
	if s.Tiles != nil {
		if out.Extent, out.Points, err = s.Tiles.Extent(ctx, q.Scope); err != nil {
			return nil, err
		}
	}
	return &body[MapNow]{out}, nil
}

// spots puts alarms where their points are, the worst first.
func (s *Server) spots(ctx context.Context, alarms []grid.Alarm, out *MapNow) error {
	slices.SortStableFunc(alarms, func(a, b grid.Alarm) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), b.Raised.Compare(a.Raised), cmp.Compare(a.ID, b.ID))
	})
	var points []string
	for i := range alarms {
		if alarms[i].Point == "" {
			out.Beside++
		} else {
			points = append(points, alarms[i].Point)
		}
	}
	if len(points) == 0 {
		return nil
	}
	out.More = max(0, len(points)-mapAlarms)
	places, err := s.Store.Places(ctx, points[:min(len(points), mapAlarms)])
	if err != nil {
		return err
	}
	at := make(map[string]state.Place, len(places))
	for _, p := range places {
		if p.Lon != 0 || p.Lat != 0 {
			at[p.Point] = p
		}
	}
	for i := range alarms {
		a := &alarms[i]
		p, ok := at[a.Point]
		switch {
		case ok && len(out.Alarms) < mapAlarms:
			out.Alarms = append(out.Alarms, AlarmSpot{a.ID, a.Type, a.Priority, a.Active, a.Acked, a.Mode, a.Raised, a.Cell, a.Ticket, a.Point, p.Name, p.Kind, p.Lon, p.Lat})
		case !ok && a.Point != "" && i < mapAlarms:
			out.Beside++
		}
	}
	return nil
}

type tallyKey struct {
	cell, street string
	mode         grid.Mode
}

// tally counts by cell and mode.
type tally map[tallyKey]*CellNow

func (t tally) of(cell, street string, mode grid.Mode) *CellNow {
	k := tallyKey{cell, street, mode}
	if t[k] == nil {
		t[k] = &CellNow{Cell: cell, Street: street, Mode: mode}
	}
	return t[k]
}

func (t tally) alarm(a *grid.Alarm) {
	c := t.of(a.Cell, a.Street, a.Mode)
	c.Alarms++
	if !a.Acked {
		c.Unacked++
	}
	if c.Worst == 0 || a.Priority < c.Worst {
		c.Worst = a.Priority
	}
	if a.Type == grid.EventDeviceOffline && a.Active {
		c.Silent++
	}
}

func (t tally) rows(to []CellNow) []CellNow {
	for _, c := range t {
		if c.Cell != "" || c.Street != "" {
			to = append(to, *c)
		}
	}
	slices.SortFunc(to, func(a, b CellNow) int {
		return cmp.Or(cmp.Compare(a.Street, b.Street), cmp.Compare(a.Cell, b.Cell), cmp.Compare(a.Mode, b.Mode))
	})
	return to
}

type mapAreasInput struct {
	Have string `header:"If-None-Match"`
}

// areaCollection is a GeoJSON FeatureCollection (RFC 7946) of areas.
type areaCollection struct {
	Type        string        `json:"type"`
	Attribution []string      `json:"attribution"`
	Features    []areaFeature `json:"features"`
}

type areaFeature struct {
	Type       string         `json:"type"`
	Properties areaProperties `json:"properties"`
	Geometry   areaGeometry   `json:"geometry"`
}

type areaProperties struct {
	Code      string          `json:"code"`
	Kind      grid.RegionKind `json:"kind"`
	Name      string          `json:"name,omitempty"`
	NameEN    string          `json:"name_en,omitempty"`
	Mode      grid.Mode       `json:"mode"`
	Schematic bool            `json:"schematic,omitempty"`
	Synthetic bool            `json:"synthetic,omitempty"`
}

type areaGeometry struct {
	Type        string     `json:"type"`
	Coordinates grid.Shape `json:"coordinates"`
}

func (s *Server) mapAreas(_ context.Context, _ grid.Actor, in *mapAreasInput) (*huma.StreamResponse, error) {
	if s.Regions == nil {
		return nil, grid.Errorf(grid.Unavailable, "areas: this gateway has none")
	}
	b, err := json.Marshal(collect(s.Regions.Map()))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	tag := fmt.Sprintf(`"%x"`, sum[:12])
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("ETag", tag)
		hc.SetHeader("Cache-Control", "private, no-cache")
		if strings.Contains(in.Have, tag) {
			hc.SetStatus(304)
			return
		}
		hc.SetHeader("Content-Type", "application/geo+json")
		s.zipped(hc, b)
	}}, nil
}

// collect gives the areas that have a border, by code, and the words of their sources.
func collect(m *geo.Map) areaCollection {
	out := areaCollection{Type: "FeatureCollection", Attribution: []string{}, Features: []areaFeature{}}
	for _, r := range m.Regions() {
		if len(r.Shape) == 0 {
			continue
		}
		p := areaProperties{r.Code, r.Kind, r.Name, r.NameEN, r.Mode, r.Schematic, r.Synthetic}
		out.Features = append(out.Features, areaFeature{"Feature", p, areaGeometry{"MultiPolygon", r.Shape}})
		if r.Source != "" && !slices.Contains(out.Attribution, r.Source) {
			out.Attribution = append(out.Attribution, r.Source)
		}
	}
	return out
}
