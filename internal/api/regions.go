package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

// Regions are the districts, streets, communities and cells, as the API needs them.
type Regions interface {
	Map() *geo.Map
	// PutRegions is idempotent by key.
	PutRegions(ctx context.Context, file []grid.Region, by grid.Actor, key string) (grid.RegionsPut, error)
	ListRegions(context.Context, Query) (Page[grid.Region], error)
	PointsAfter(ctx context.Context, id string, most int) ([]grid.Point, error)
}

// regionRoutes: what lies where. Geography is nobody's secret: every technician reads all of it.
func (s *Server) regionRoutes(api huma.API) {
	if s.Regions == nil {
		return
	}
	op := post("/areas", "import-areas", "cells", "Import districts, streets, communities or cells (GeoJSON): they take the place of all of the same kind in the same district")
	op.Description = "All or nothing. A dry run says what is wrong with each feature, and which points would lie in another cell. Points follow their borders, except where a person said the cell."
	op.Method, op.MaxBodyBytes, op.BodyReadTimeout = http.MethodPut, maxImport, importWithin
	route(s, api, admins, importWithin, op, s.putAreas)
	route(s, api, viewers|technicians, answerWithin, get("/cells", "list-cells", "cells", "Cells, or another kind of area, by code"), s.cells)
	route(s, api, viewers|technicians, answerWithin, get("/cells/at", "get-cell-at", "cells", "In which cell, street and district a position lies"), s.cellAt)
	route(s, api, viewers|technicians|walls, answerWithin, get("/scopes", "list-scopes", "scopes", "The tree of districts, streets and communities, with their names"), s.scopes)
	route(s, api, viewers|technicians, answerWithin, post("/convert", "convert-positions", "cells", "Take positions from one coordinate system to another"), s.convert)
}

type areasInput struct {
	CRS     string    `query:"crs" required:"true" doc:"Coordinate system of the file: WGS84, CGCS2000, GCJ02 or BD09."`
	DryRun  bool      `query:"dry_run" doc:"Check the file, say what it would change, and change nothing."`
	Mode    grid.Mode `query:"mode" enum:"live,test,exercise,simulated" default:"live"`
	Source  string    `query:"source" maxLength:"200" doc:"Where the file comes from; default: what its metadata say."`
	Key     string    `header:"Idempotency-Key" maxLength:"200"`
	RawBody []byte    `contentType:"application/geo+json"`
}

// AreaImport is what an import of areas found and did.
type AreaImport struct {
	DryRun bool `json:"dry_run,omitempty"`
	grid.RegionsPut
	Problems []geo.Fault `json:"problems" doc:"Of these, any that is no warning stands in the way."`
	Points   PointMoves  `json:"points"`
}

// PointMoves is what changed borders mean for the points.
type PointMoves struct {
	Checked int         `json:"checked"`
	Moved   int         `json:"moved" doc:"They lie in another cell then."`
	ByHand  int         `json:"by_hand" doc:"They stay in the cell that a person said, and lie in another."`
	Outside int         `json:"outside" doc:"They lie in no area then, and keep their cell."`
	Some    []PointMove `json:"some,omitempty" doc:"The first fifty."`
}

// PointMove is one of them.
type PointMove struct {
	Point string `json:"point"`
	From  string `json:"from"`
	To    string `json:"to"`
	Why   string `json:"why" enum:"moved,by_hand,outside"`
}

func (s *Server) putAreas(ctx context.Context, by grid.Actor, in *areasInput) (*body[AreaImport], error) {
	crs, err := geo.ParseCRS(in.CRS)
	if err != nil {
		return nil, err
	}
	file, faults, err := geo.ReadGeoJSON(in.RawBody, geo.Source{CRS: crs, Mode: in.Mode, Name: in.Source})
	if err != nil {
		return nil, err
	}
	out := AreaImport{DryRun: in.DryRun}
	if before := s.Regions.Map(); len(file) > 0 {
		next := geo.Merge(before, file)
		faults = append(faults, geo.Check(next, file)...)
		out.RegionsPut = geo.Change(before, next, len(file))
		if out.Points, err = s.pointMoves(ctx, next); err != nil {
			return nil, err
		}
	}
	if out.Problems = faults; faults == nil {
		out.Problems = []geo.Fault{}
	}
	if in.DryRun {
		return &body[AreaImport]{out}, nil
	}
	if err := refusal(faults); err != nil {
		return nil, err
	}
	out.RegionsPut, err = s.Regions.PutRegions(ctx, file, by, in.Key)
	return &body[AreaImport]{out}, err
}

const (
	someMoves  = 50
	someFaults = 20
	pointsPage = 1000
)

// refusal is the faults that stand in the way, as one error.
func refusal(faults []geo.Fault) error {
	var words []string
	n := 0
	for _, f := range faults {
		if f.Warning {
			continue
		}
		if n++; n <= someFaults {
			words = append(words, fmt.Sprintf("feature %d %s: %s", f.Feature, f.Region, f.EN))
		}
	}
	switch {
	case n == 0:
		return nil
	case n > someFaults:
		words = append(words, fmt.Sprintf("and %d more", n-someFaults))
	}
	return grid.Errorf(grid.Invalid, "the file is not imported: %s", strings.Join(words, "; "))
}

// pointMoves says what a map would change for the points there are.
func (s *Server) pointMoves(ctx context.Context, next *geo.Map) (out PointMoves, err error) {
	for after := ""; ; {
		points, err := s.Regions.PointsAfter(ctx, after, pointsPage)
		if err != nil {
			return out, err
		}
		for i := range points {
			out.add(points[i], next)
		}
		if len(points) < pointsPage {
			return out, nil
		}
		after = points[len(points)-1].ID
	}
}

func (m *PointMoves) add(p grid.Point, next *geo.Map) {
	if p.Lon == 0 && p.Lat == 0 {
		return
	}
	m.Checked++
	at, was := next.At(p.Lon, p.Lat), smallest(&p)
	move := PointMove{Point: p.ID, From: was, To: at.Code()}
	switch {
	case at.Code() == "":
		m.Outside++
		move.Why = "outside"
	case geo.ByHand(&p):
		if p.Cell == at.Cell {
			return
		}
		m.ByHand++
		move.Why = "by_hand"
	case !geo.Replace(&p, next):
		return
	case p.Placed == grid.PlacedByHand: // a street was said, and it is another
		m.ByHand++
		move.Why = "by_hand"
	default:
		m.Moved++
		move.Why, move.To = "moved", smallest(&p)
	}
	if len(m.Some) < someMoves {
		m.Some = append(m.Some, move)
	}
}

func smallest(p *grid.Point) string {
	for _, code := range []string{p.Cell, p.Community, p.Street} {
		if code != "" {
			return code
		}
	}
	return p.District
}

type cellsInput struct {
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor    string `query:"cursor" doc:"The next of the page before."`
	District  string `query:"district" doc:"District code, 6 digits."`
	Street    string `query:"street" doc:"Street code, 9 digits."`
	Community string `query:"community" doc:"Community code, 12 digits."`
	Kind      string `query:"kind" enum:"cell,community,street,district" default:"cell"`
	Text      string `query:"q" doc:"Words to look for in code and names."`
	Shape     bool   `query:"shape" doc:"With their borders, WGS84."`
}

func (s *Server) cells(ctx context.Context, _ grid.Actor, in *cellsInput) (*body[Page[grid.Region]], error) {
	page, err := s.Regions.ListRegions(ctx, Query{
		Scope: grid.Scope{District: in.District, Street: in.Street, Community: in.Community},
		Kind:  in.Kind, Text: in.Text, Limit: in.Limit, Cursor: in.Cursor,
	})
	if err != nil {
		return nil, err
	}
	if !in.Shape {
		for i := range page.Items {
			page.Items[i].Shape = nil
		}
	}
	if page.Items == nil {
		page.Items = []grid.Region{}
	}
	return &body[Page[grid.Region]]{page}, nil
}

type atInput struct {
	Lon float64 `query:"lon" required:"true" minimum:"-180" maximum:"180"`
	Lat float64 `query:"lat" required:"true" minimum:"-90" maximum:"90"`
	CRS string  `query:"crs" required:"true" doc:"WGS84, CGCS2000, GCJ02 or BD09."`
}

// Names are what something is called.
type Names struct {
	ZH string `json:"zh,omitempty"`
	EN string `json:"en,omitempty"`
}

// Whereabouts is where a position lies.
type Whereabouts struct {
	Cell      string           `json:"cell,omitempty"`
	Community string           `json:"community,omitempty"`
	Street    string           `json:"street,omitempty" doc:"Of the cell, where there is one."`
	District  string           `json:"district,omitempty"`
	LiesIn    string           `json:"lies_in,omitempty" doc:"The street whose border is around the position, where that is another than the cell's."`
	Names     map[string]Names `json:"names" doc:"By code."`
	Border    float64          `json:"distance_to_border_m" doc:"To the border of the smallest area that it lies in."`
	Nearest   string           `json:"nearest,omitempty" doc:"Outside of all areas: the nearest."`
	Away      float64          `json:"nearest_m,omitempty" doc:"And how far that is."`
	Schematic bool             `json:"schematic,omitempty" doc:"The borders are drawn, and not surveyed."`
	WGS84     [2]float64       `json:"wgs84" doc:"Longitude, latitude."`
}

func (s *Server) cellAt(_ context.Context, _ grid.Actor, in *atInput) (*body[Whereabouts], error) {
	lon, lat, _, err := geo.ToWGS84(in.Lon, in.Lat, in.CRS)
	if err != nil {
		return nil, err
	}
	m := s.Regions.Map()
	l := m.At(lon, lat)
	w := Whereabouts{
		Cell: l.Cell, Community: l.Community, Street: l.Street, District: l.District, LiesIn: l.LiesIn, Border: metres(l.Border),
		Nearest: l.Nearest, Away: metres(l.Away), WGS84: [2]float64{lon, lat}, Names: map[string]Names{},
	}
	for _, code := range []string{l.Cell, l.Community, l.Street, l.District, l.LiesIn, l.Nearest} {
		if r, ok := m.Region(code); ok {
			w.Schematic = w.Schematic || r.Schematic
			if r.Name != "" || r.NameEN != "" {
				w.Names[code] = Names{r.Name, r.NameEN}
			}
		}
	}
	return &body[Whereabouts]{w}, nil
}

// metres keeps a centimetre.
func metres(m float64) float64 { return float64(int64(m*100+0.5)) / 100 }

// ScopeNode is a district, street or community in the tree.
type ScopeNode struct {
	Code      string          `json:"code"`
	Kind      grid.RegionKind `json:"kind"`
	Name      string          `json:"name,omitempty"`
	NameEN    string          `json:"name_en,omitempty"`
	Mode      grid.Mode       `json:"mode"`
	Schematic bool            `json:"schematic,omitempty"`
	Cells     int             `json:"cells" doc:"How many it has."`
	Below     []*ScopeNode    `json:"below,omitempty"`
}

func (s *Server) scopes(_ context.Context, _ grid.Actor, _ *struct{}) (*body[[]*ScopeNode], error) {
	return &body[[]*ScopeNode]{scopeTree(s.Regions.Map())}, nil
}

// scopeTree hangs each region under the nearest one above it that is known.
func scopeTree(m *geo.Map) []*ScopeNode {
	roots := []*ScopeNode{}
	nodes := map[string]*ScopeNode{}
	for _, r := range m.Regions() { // by code: what is above comes first
		if r.Kind == grid.CellRegion {
			for _, code := range []string{r.Scope.District, r.Scope.Street, r.Scope.Community} {
				if n := nodes[code]; n != nil {
					n.Cells++
				}
			}
			continue
		}
		n := &ScopeNode{Code: r.Code, Kind: r.Kind, Name: r.Name, NameEN: r.NameEN, Mode: r.Mode, Schematic: r.Schematic}
		nodes[r.Code] = n
		up := nodes[r.Scope.Street]
		if up == nil || up == n {
			up = nodes[r.Scope.District]
		}
		if up == nil || up == n {
			roots = append(roots, n)
		} else {
			up.Below = append(up.Below, n)
		}
	}
	return roots
}

type convertInput struct {
	Body Conversion
}

// Conversion is positions to be taken from one system to another.
type Conversion struct {
	From      string       `json:"from" doc:"WGS84, CGCS2000, GCJ02 or BD09."`
	To        string       `json:"to"`
	Positions [][2]float64 `json:"positions" minItems:"1" maxItems:"10000" doc:"Longitude, latitude."`
}

// Converted is the positions in the other system.
type Converted struct {
	CRS       geo.CRS      `json:"crs"`
	Positions [][2]float64 `json:"positions"`
}

func (s *Server) convert(_ context.Context, _ grid.Actor, in *convertInput) (*body[Converted], error) {
	from, err := geo.ParseCRS(in.Body.From)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	to, err := geo.ParseCRS(in.Body.To)
	if err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	out := Converted{CRS: to, Positions: make([][2]float64, 0, len(in.Body.Positions))}
	for _, at := range in.Body.Positions {
		if at[0] < -180 || at[0] > 180 || at[1] < -90 || at[1] > 90 {
			return nil, grid.Errorf(grid.Invalid, "position is %g, %g: want longitude and latitude in degrees", at[0], at[1])
		}
		x, y := geo.Convert(from, to, at[0], at[1])
		out.Positions = append(out.Positions, [2]float64{x, y})
	}
	return &body[Converted]{out}, nil
}

// PutAreas imports areas from a GeoJSON file. key makes it idempotent.
func (c *Client) PutAreas(ctx context.Context, file []byte, crs, mode, source string, dryRun bool, key string) (AreaImport, error) {
	v := url.Values{"crs": {crs}, "dry_run": {strconv.FormatBool(dryRun)}}
	if mode != "" {
		v.Set("mode", mode)
	}
	if source != "" {
		v.Set("source", source)
	}
	return call[AreaImport](ctx, c, http.MethodPut, "/api/v1/areas", v, &content{raw: file, key: key})
}

// CellAt says where a position lies.
func (c *Client) CellAt(ctx context.Context, lon, lat float64, crs string) (Whereabouts, error) {
	v := url.Values{"lon": {strconv.FormatFloat(lon, 'f', -1, 64)}, "lat": {strconv.FormatFloat(lat, 'f', -1, 64)}, "crs": {crs}}
	return call[Whereabouts](ctx, c, http.MethodGet, "/api/v1/cells/at", v, nil)
}

// Scopes reads the tree of districts, streets and communities.
func (c *Client) Scopes(ctx context.Context) ([]*ScopeNode, error) {
	return call[[]*ScopeNode](ctx, c, http.MethodGet, "/api/v1/scopes", nil, nil)
}
