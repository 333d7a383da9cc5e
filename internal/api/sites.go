package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

// siteRoutes: sites and buildings. A technician reads those of the contractor, the desk writes them.
func (s *Server) siteRoutes(api huma.API) {
	list(s, api, viewers|technicians, get("/sites", "list-sites", "sites", "Compounds, parks and sections of streets; state active or retired"), s.Store.ListSites)
	list(s, api, viewers|technicians, get("/buildings", "list-buildings", "sites", "Buildings; state active or retired"), s.Store.ListBuildings)
	route(s, api, viewers|technicians, answerWithin, get("/sites/{id}", "get-site", "sites", "One site"), func(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Site], error) {
		x, err := oneOf(ctx, s, by, in.ID, "site", s.Store.ListSites)
		return &body[grid.Site]{x}, err
	})
	route(s, api, viewers|technicians, answerWithin, get("/buildings/{id}", "get-building", "sites", "One building"), func(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Building], error) {
		x, err := oneOf(ctx, s, by, in.ID, "building", s.Store.ListBuildings)
		return &body[grid.Building]{x}, err
	})
	put := func(path, id, said string) huma.Operation {
		op := post(path, id, "sites", said)
		op.Method = http.MethodPut
		return op
	}
	add := func(path, id, said string) huma.Operation {
		op := post(path, id, "sites", said)
		op.DefaultStatus = http.StatusCreated
		return op
	}
	route(s, api, admins, answerWithin, add("/sites", "create-site", "Add a site"), func(ctx context.Context, by grid.Actor, in *newInput[NewSite]) (*body[grid.Site], error) {
		return s.putSite(ctx, by, in, in.Body.ID, true)
	})
	route(s, api, admins, answerWithin, put("/sites/{id}", "put-site", "Write a site anew"), func(ctx context.Context, by grid.Actor, in *anewInput[NewSite]) (*body[grid.Site], error) {
		return s.putSite(ctx, by, &newInput[NewSite]{in.Key, in.Body}, in.ID, false)
	})
	route(s, api, admins, answerWithin, add("/buildings", "create-building", "Add a building"), func(ctx context.Context, by grid.Actor, in *newInput[NewBuilding]) (*body[grid.Building], error) {
		return s.putBuilding(ctx, by, in, in.Body.ID, true)
	})
	route(s, api, admins, answerWithin, put("/buildings/{id}", "put-building", "Write a building anew"), func(ctx context.Context, by grid.Actor, in *anewInput[NewBuilding]) (*body[grid.Building], error) {
		return s.putBuilding(ctx, by, &newInput[NewBuilding]{in.Key, in.Body}, in.ID, false)
	})
	for _, kind := range []string{"site", "building"} {
		route(s, api, operators, answerWithin, get("/"+kind+"s/{id}/log", "get-"+kind+"-log", "sites", "The history of a "+kind+", newest first"), func(ctx context.Context, by grid.Actor, in *logInput) (*body[Page[grid.Change]], error) {
			return s.history(ctx, by, in, Query{Kind: kind, Of: in.ID})
		})
	}
	route(s, api, operators, answerWithin, get("/units/{id}/log", "get-unit-log", "units", "The history of a unit, newest first; no secrets"), func(ctx context.Context, by grid.Actor, in *logInput) (*body[Page[grid.Change]], error) {
		return s.history(ctx, by, in, Query{Kind: "unit", Of: in.ID})
	})
}

// oneOf reads a row that by may see.
func oneOf[T any](ctx context.Context, s *Server, by grid.Actor, id, what string, from func(context.Context, Query) (Page[T], error)) (T, error) {
	var none T
	q := Query{ID: id, Limit: 1}
	if err := s.within(ctx, by, &q); err != nil {
		return none, err
	}
	page, err := from(ctx, q)
	if err == nil && len(page.Items) == 0 {
		err = grid.Errorf(grid.NotFound, "%s %q is not known", what, id)
	}
	if err != nil {
		return none, err
	}
	return page.Items[0], nil
}

// Locality is where a site or a building is.
type Locality struct {
	District   string  `json:"district,omitempty"`
	Street     string  `json:"street,omitempty"`
	Community  string  `json:"community,omitempty"`
	Compound   string  `json:"compound,omitempty" maxLength:"100"`
	Contractor string  `json:"contractor,omitempty" maxLength:"100"`
	Cell       string  `json:"cell,omitempty"`
	Lon        float64 `json:"lon,omitempty"`
	Lat        float64 `json:"lat,omitempty"`
	CRS        string  `json:"crs,omitempty" doc:"WGS84, CGCS2000, GCJ-02 or BD-09; wanted with a position."`
}

// locate turns the position into WGS84 and fills in codes that are left out from the map.
func (s *Server) locate(n *Locality) error {
	if n.Lon == 0 && n.Lat == 0 {
		n.CRS = ""
		return nil
	}
	x, y, _, err := geo.ToWGS84(n.Lon, n.Lat, n.CRS)
	if err != nil {
		return err
	}
	n.Lon, n.Lat, n.CRS = x, y, "WGS84"
	if s.Regions == nil || n.Cell+n.Community+n.Street+n.District != "" {
		return nil
	}
	at := s.Regions.Map().At(x, y)
	n.Cell, n.Community, n.Street = at.Cell, at.Community, at.Street
	return nil
}

func (n *Locality) scope() grid.Scope {
	return grid.Scope{District: n.District, Street: n.Street, Community: n.Community, Compound: n.Compound, Contractor: n.Contractor}
}

// NewSite is a site as it is asked for.
type NewSite struct {
	ID      string        `json:"id,omitempty" maxLength:"100"`
	Name    string        `json:"name" minLength:"1" maxLength:"200"`
	Kind    grid.SiteKind `json:"kind" enum:"compound,park,street_section"`
	Address string        `json:"address,omitempty" maxLength:"500"`
	Locality
	Mode    grid.Mode `json:"mode,omitempty" enum:"live,test,exercise,simulated"`
	Owner   string    `json:"owner,omitempty" maxLength:"100"`
	Notes   string    `json:"notes,omitempty" maxLength:"2000"`
	Retired bool      `json:"retired,omitempty"`
	By      *As       `json:"by,omitempty"`
	Reason  string    `json:"reason,omitempty" maxLength:"1000"`
}

// newInput is a row that is added, under an idempotency key.
type newInput[T any] struct {
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body T
}

// anewInput is a row that is written anew.
type anewInput[T any] struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body T
}

func (s *Server) putSite(ctx context.Context, by grid.Actor, in *newInput[NewSite], id string, fresh bool) (*body[grid.Site], error) {
	n := &in.Body
	old, err := s.Store.Site(ctx, id)
	if err := mayPut("site", id, n.ID, err, fresh); err != nil {
		return nil, err
	}
	if err := s.locate(&n.Locality); err != nil {
		return nil, err
	}
	x, err := s.Engine.PutSite(ctx, grid.Site{
		ID: id, Name: n.Name, Kind: n.Kind, Address: n.Address, Scope: n.scope(), Cell: n.Cell, Mode: n.Mode, Lon: n.Lon, Lat: n.Lat, CRS: n.CRS,
		Owner: n.Owner, Notes: n.Notes, Retired: s.retired(n.Retired, old.Retired),
	}, actOf(by, n.By, time.Time{}, n.Reason, in.Key))
	return &body[grid.Site]{x}, err
}

// mayPut checks an id: a new row is not there yet, one to be written anew is. The same row with
// the same key again is answered by the engine.
func mayPut(what, id, said string, err error, fresh bool) error {
	switch {
	case id == "":
		return grid.Errorf(grid.Invalid, "%s: id is empty: want one", what)
	case said != "" && said != id:
		return grid.Errorf(grid.Invalid, "%s: id is %q: want %q, it keeps its id", what, said, id)
	case fresh && grid.CodeOf(err) == grid.NotFound, fresh && err == nil:
		return nil
	}
	return err
}

// retired is since when: once said it stays.
func (s *Server) retired(now bool, since time.Time) time.Time {
	switch {
	case !now:
		return time.Time{}
	case since.IsZero():
		return s.Now().UTC()
	}
	return since
}

// NewBuilding is a building as it is asked for.
type NewBuilding struct {
	ID        string   `json:"id,omitempty" maxLength:"100"`
	Name      string   `json:"name" minLength:"1" maxLength:"200"`
	Site      string   `json:"site,omitempty" maxLength:"100"`
	Address   string   `json:"address,omitempty" maxLength:"500"`
	Entrances []string `json:"entrances,omitempty" maxItems:"20" doc:"In words; the first is the one to take."`
	KeyHolder string   `json:"key_holder,omitempty" maxLength:"100" doc:"The role of a contact. No names, no numbers: those are kept with the contacts."`
	Floors    int      `json:"floors,omitempty" minimum:"0" maximum:"200"`
	Locality
	Mode    grid.Mode `json:"mode,omitempty" enum:"live,test,exercise,simulated"`
	Owner   string    `json:"owner,omitempty" maxLength:"100"`
	Notes   string    `json:"notes,omitempty" maxLength:"2000"`
	Retired bool      `json:"retired,omitempty"`
	By      *As       `json:"by,omitempty"`
	Reason  string    `json:"reason,omitempty" maxLength:"1000"`
}

func (s *Server) putBuilding(ctx context.Context, by grid.Actor, in *newInput[NewBuilding], id string, fresh bool) (*body[grid.Building], error) {
	n := &in.Body
	old, err := s.Store.Building(ctx, id)
	if err := mayPut("building", id, n.ID, err, fresh); err != nil {
		return nil, err
	}
	if err := s.locate(&n.Locality); err != nil {
		return nil, err
	}
	x, err := s.Engine.PutBuilding(ctx, grid.Building{
		ID: id, Name: n.Name, Site: n.Site, Address: n.Address, Entrances: n.Entrances, KeyHolder: n.KeyHolder, Floors: n.Floors, Scope: n.scope(),
		Cell: n.Cell, Mode: n.Mode, Lon: n.Lon, Lat: n.Lat, CRS: n.CRS, Owner: n.Owner, Notes: n.Notes, Retired: s.retired(n.Retired, old.Retired),
	}, actOf(by, n.By, time.Time{}, n.Reason, in.Key))
	return &body[grid.Building]{x}, err
}
