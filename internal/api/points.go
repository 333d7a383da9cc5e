package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/evidence"
	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

// RegistryStore is what the API reads of places, devices and their history.
type RegistryStore interface {
	ListSites(context.Context, Query) (Page[grid.Site], error)
	ListBuildings(context.Context, Query) (Page[grid.Building], error)
	ListChanges(context.Context, Query) (Page[grid.Change], error)
	ListPhotos(context.Context, Query) (Page[grid.PointPhoto], error)
	PointsNear(ctx context.Context, q Query, lon, lat, dLon, dLat float64) ([]grid.Point, error)
	Site(ctx context.Context, id string) (grid.Site, error)
	Building(ctx context.Context, id string) (grid.Building, error)
	Photo(ctx context.Context, id string) (grid.PointPhoto, error)
}

// RegistryEngine changes them. Each act is idempotent by its key.
type RegistryEngine interface {
	PutAs(ctx context.Context, r grid.Registration, act grid.Act) error
	CreatePoint(ctx context.Context, p grid.Point, act grid.Act) (grid.Point, error)
	ChangePoint(ctx context.Context, p grid.Point, act grid.Act) (grid.Point, error)
	RetirePoint(ctx context.Context, id string, withTickets bool, act grid.Act) (grid.Point, error)
	PutSite(ctx context.Context, s grid.Site, act grid.Act) (grid.Site, error)
	PutBuilding(ctx context.Context, b grid.Building, act grid.Act) (grid.Building, error)
	AddNote(ctx context.Context, point string, device grid.Identity, text string, act grid.Act) (grid.Change, error)
	AddPhoto(ctx context.Context, p grid.PointPhoto, act grid.Act) (grid.PointPhoto, error)

	ChangeDevice(ctx context.Context, d grid.Device, act grid.Act) (grid.Device, error)
	Replace(ctx context.Context, s grid.Swap) (grid.Swapped, error)
	UndoReplace(ctx context.Context, old grid.Identity, act grid.Act) (grid.Swapped, error)
	MoveDevice(ctx context.Context, m grid.DeviceMove) (grid.Device, error)
	RetireDevice(ctx context.Context, id grid.Identity, act grid.Act) (grid.Device, error)
	ReviveDevice(ctx context.Context, id grid.Identity, act grid.Act) (grid.Device, error)
	BarDevice(ctx context.Context, id grid.Identity, stolen bool, act grid.Act) (grid.Device, error)
}

// pointRoutes: places. A technician reaches those in the hands of their contractor.
func (s *Server) pointRoutes(api huma.API) {
	op := get("/points", "list-points", "points", "Monitored places; with near, those around a position, nearest first")
	route(s, api, viewers|technicians, answerWithin, op, s.listPoints)
	route(s, api, viewers|technicians, answerWithin, get("/points/{id}", "get-point", "points", "One point"), s.getPoint)
	op = post("/points", "create-point", "points", "Add a point")
	op.DefaultStatus = http.StatusCreated
	route(s, api, admins|technicians, answerWithin, op, s.createPoint)
	op = post("/points/{id}", "change-point", "points", "Change a point: fields that are left out stay")
	op.Method = http.MethodPut
	route(s, api, admins|technicians, answerWithin, op, s.changePoint)
	route(s, api, admins|technicians, answerWithin, post("/points/{id}/retire", "retire-point", "points", "Take a point out; refused while something hangs on it, naming it"), s.retirePoint)
	route(s, api, operators|technicians, answerWithin, post("/points/{id}/notes", "note-point", "points", "Keep a remark in the history of a point"), func(ctx context.Context, by grid.Actor, in *noteInput) (*body[grid.Change], error) {
		if _, err := s.pointFor(ctx, by, in.ID); err != nil {
			return nil, err
		}
		return s.note(ctx, by, in, in.ID, "")
	})
	route(s, api, operators|technicians, answerWithin, get("/points/{id}/log", "get-point-log", "points", "The history of a point and of what was installed there, newest first"), func(ctx context.Context, by grid.Actor, in *logInput) (*body[Page[grid.Change]], error) {
		if _, err := s.pointFor(ctx, by, in.ID); err != nil {
			return nil, err
		}
		return s.history(ctx, by, in, Query{Point: in.ID})
	})
	up := post("/points/{id}/photos", "add-point-photo", "points", "Keep a photo of a point (JPEG, PNG, WebP); its position and other metadata are not kept")
	up.MaxBodyBytes, up.DefaultStatus = evidence.MaxBytes+1, http.StatusCreated
	route(s, api, operators|technicians, importWithin, up, s.addPhoto)
	route(s, api, operators|technicians, answerWithin, get("/points/{id}/photos", "list-point-photos", "points", "The photos of a point, newest first"), s.listPhotos)
	route(s, api, operators|technicians, importWithin, get("/photos/{id}", "get-photo", "points", "A photo itself"), s.getPhoto)
	s.siteRoutes(api)
}

// pointFor reads a point that by may see; of another's, nobody learns that it is there.
func (s *Server) pointFor(ctx context.Context, by grid.Actor, id string) (grid.Point, error) {
	q := Query{ID: id, Limit: 1}
	if err := s.within(ctx, by, &q); err != nil {
		return grid.Point{}, err
	}
	page, err := s.Store.ListPoints(ctx, q)
	if err == nil && len(page.Items) == 0 {
		err = grid.Errorf(grid.NotFound, "point %q is not known", id)
	}
	if err != nil {
		return grid.Point{}, err
	}
	return page.Items[0], nil
}

// PointView is a point in a list.
type PointView struct {
	grid.Point
	Distance *float64 `json:"distance_m,omitempty" doc:"With near."`
}

// ListInput is exported so that what embeds it has its parameters.
type ListInput = listInput

type pointsInput struct {
	ListInput
	Building string  `query:"building"`
	Site     string  `query:"site"`
	Owner    string  `query:"owner"`
	Privacy  string  `query:"privacy" enum:"public_space,shared_building,dwelling"`
	Near     string  `query:"near" doc:"<lat>,<lon>: nearest first, with the distance."`
	CRS      string  `query:"crs" doc:"Of near: WGS84, CGCS2000, GCJ-02 or BD-09; wanted with it."`
	Radius   float64 `query:"radius" minimum:"1" maximum:"5000" default:"200" doc:"Of near, in metres."`
}

func (s *Server) listPoints(ctx context.Context, by grid.Actor, in *pointsInput) (*body[Page[PointView]], error) {
	q := in.query(by)
	q.Building, q.Site, q.Owner, q.Privacy = in.Building, in.Site, in.Owner, in.Privacy
	if err := s.within(ctx, by, &q); err != nil {
		return nil, err
	}
	out := Page[PointView]{Items: []PointView{}}
	if in.Near != "" {
		all, err := s.pointsNear(ctx, q, in)
		out.Items = append(out.Items, all...)
		return &body[Page[PointView]]{out}, err
	}
	page, err := s.Store.ListPoints(ctx, q)
	if err != nil {
		return nil, err
	}
	for i := range page.Items {
		out.Items = append(out.Items, PointView{Point: page.Items[i]})
	}
	out.Next = page.Next
	return &body[Page[PointView]]{out}, nil
}

// perDegree is how many metres a degree of latitude has at least: the box is never too small.
const perDegree = 110_500

func (s *Server) pointsNear(ctx context.Context, q Query, in *pointsInput) ([]PointView, error) {
	lat, lon, ok := strings.Cut(in.Near, ",")
	y, errY := strconv.ParseFloat(strings.TrimSpace(lat), 64)
	x, errX := strconv.ParseFloat(strings.TrimSpace(lon), 64)
	if !ok || errX != nil || errY != nil || math.Abs(y) > 85 || math.Abs(x) > 180 {
		return nil, grid.Errorf(grid.Invalid, "near is %q: want <latitude>,<longitude> in degrees", in.Near)
	}
	x, y, _, err := geo.ToWGS84(x, y, in.CRS)
	if err != nil {
		return nil, err
	}
	dLat := in.Radius / perDegree
	all, err := s.Store.PointsNear(ctx, q, x, y, dLat/math.Cos(y*math.Pi/180), dLat)
	if err != nil {
		return nil, err
	}
	near := make([]PointView, 0, len(all))
	for i := range all {
		if d := geo.Metres(x, y, all[i].Lon, all[i].Lat); d <= in.Radius {
			d = math.Round(d*10) / 10
			near = append(near, PointView{all[i], &d})
		}
	}
	slices.SortFunc(near, func(a, b PointView) int {
		return cmp.Or(cmp.Compare(*a.Distance, *b.Distance), cmp.Compare(a.ID, b.ID))
	})
	return near[:min(len(near), cmp.Or(in.Limit, 100))], nil
}

func (s *Server) getPoint(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Point], error) {
	p, err := s.pointFor(ctx, by, in.ID)
	return &body[grid.Point]{p}, err
}

// PointFields are the fields of a point that are said; the others stay, or are empty.
type PointFields struct {
	ID         string        `json:"id,omitempty" maxLength:"100" doc:"Of a new point; without one it is made."`
	Name       *string       `json:"name,omitempty" maxLength:"200"`
	Kind       grid.Kind     `json:"kind,omitempty" enum:"door,parking,manhole,smoke"`
	District   *string       `json:"district,omitempty"`
	Street     *string       `json:"street,omitempty"`
	Community  *string       `json:"community,omitempty"`
	Compound   *string       `json:"compound,omitempty" maxLength:"100"`
	Contractor *string       `json:"contractor,omitempty" maxLength:"100"`
	Cell       *string       `json:"cell,omitempty" doc:"15 digits; with a position it is worked out."`
	Component  *string       `json:"component,omitempty" doc:"16 digits."`
	Site       *string       `json:"site,omitempty" maxLength:"100"`
	Building   *string       `json:"building,omitempty" maxLength:"200" doc:"The id of a registered building, or a name."`
	Floor      *string       `json:"floor,omitempty" maxLength:"50"`
	Room       *string       `json:"room,omitempty" maxLength:"100"`
	Address    *string       `json:"address,omitempty" maxLength:"500"`
	Lon        *float64      `json:"lon,omitempty"`
	Lat        *float64      `json:"lat,omitempty"`
	CRS        string        `json:"crs,omitempty" doc:"WGS84, CGCS2000, GCJ-02 or BD-09; wanted with a position."`
	Rules      *string       `json:"rules,omitempty" maxLength:"100"`
	Mode       grid.Mode     `json:"mode,omitempty" enum:"live,test,exercise,simulated"`
	Owner      *string       `json:"owner,omitempty" maxLength:"100"`
	Privacy    *grid.Privacy `json:"privacy,omitempty" enum:"public_space,shared_building,dwelling"`
	Notes      *string       `json:"notes,omitempty" maxLength:"2000"`
	By         *As           `json:"by,omitempty"`
	At         time.Time     `json:"at,omitzero" doc:"When it was done, if that was without a network."`
	Reason     string        `json:"reason,omitempty" maxLength:"1000"`
}

// onto writes what is said over a point.
func (n *PointFields) onto(p *grid.Point) error {
	for _, f := range []struct{ to, said *string }{
		{&p.Name, n.Name}, {&p.Compound, n.Compound}, {&p.Contractor, n.Contractor}, {&p.Component, n.Component}, {&p.Site, n.Site}, {&p.Building, n.Building},
		{&p.Floor, n.Floor}, {&p.Room, n.Room}, {&p.Address, n.Address}, {&p.Rules, n.Rules}, {&p.Owner, n.Owner}, {&p.Notes, n.Notes},
		{(*string)(&p.Privacy), (*string)(n.Privacy)},
	} {
		if f.said != nil {
			*f.to = *f.said
		}
	}
	p.Kind, p.Mode = cmp.Or(n.Kind, p.Kind), cmp.Or(n.Mode, p.Mode)
	if (n.Lon == nil) != (n.Lat == nil) || n.Lon != nil && n.CRS == "" {
		return grid.Errorf(grid.Invalid, "position is said in part: want lon, lat and crs together")
	}
	if n.Lon != nil {
		geo.Unplace(p)
		p.Lon, p.Lat, p.CRS, p.Given = *n.Lon, *n.Lat, n.CRS, grid.Position{}
	}
	for _, f := range []struct{ to, said *string }{{&p.District, n.District}, {&p.Street, n.Street}, {&p.Community, n.Community}, {&p.Cell, n.Cell}} {
		if f.said != nil {
			*f.to = *f.said
		}
	}
	return nil
}

// Placed is a point as it was put, with what is worth a second look.
type Placed struct {
	grid.Point
	Warnings []string `json:"warnings,omitempty"`
}

type newPointInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"The same key again gives what has become of the first."`
	Body PointFields
}

func (s *Server) createPoint(ctx context.Context, by grid.Actor, in *newPointInput) (*body[Placed], error) {
	n := &in.Body
	id := n.ID
	if id == "" && in.Key != "" {
		id = "p-" + strings.ToLower(grid.NewID(time.Time{}, "point/"+by.Name+"/"+in.Key, 0))
	}
	if id == "" {
		id = "p-" + strings.ToLower(grid.NewID(s.Now(), "point/"+by.Name, 0))
	}
	p := grid.Point{ID: id}
	reach, err := s.reach(ctx, by)
	if err != nil {
		return nil, err
	}
	p.Contractor = reach.Contractor
	return s.putPoint(ctx, by, reach, &p, n, in.Key, s.Engine.CreatePoint)
}

type changePointInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body PointFields
}

func (s *Server) changePoint(ctx context.Context, by grid.Actor, in *changePointInput) (*body[Placed], error) {
	p, err := s.pointFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	reach, err := s.reach(ctx, by)
	if err != nil {
		return nil, err
	}
	if in.Body.ID != "" && in.Body.ID != p.ID {
		return nil, grid.Errorf(grid.Invalid, "id is %q: want %q, a point keeps its id", in.Body.ID, p.ID)
	}
	return s.putPoint(ctx, by, reach, &p, &in.Body, in.Key, s.Engine.ChangePoint)
}

// putPoint writes what is said over a point, places it, and puts it.
func (s *Server) putPoint(ctx context.Context, by grid.Actor, reach grid.Scope, p *grid.Point, n *PointFields, key string, put func(context.Context, grid.Point, grid.Act) (grid.Point, error)) (*body[Placed], error) {
	if err := n.onto(p); err != nil {
		return nil, err
	}
	problems, err := geo.Place(p, s.regions(), false)
	if err != nil {
		return nil, err
	}
	if p.District == "" { // no region says where this is: then it is where the technician works
		p.District = reach.District
	}
	if reach != (grid.Scope{}) && (!grid.Within(reach, p.Scope) || p.Contractor != reach.Contractor) {
		return nil, grid.Errorf(grid.Forbidden, "point %s would not be in your hands there", p.ID)
	}
	out, err := put(ctx, *p, actOf(by, n.By, n.At, n.Reason, key))
	if err != nil {
		return nil, err
	}
	view := Placed{Point: out}
	for _, w := range problems {
		view.Warnings = append(view.Warnings, w.Error())
	}
	if out.Building != "" {
		if _, err := s.Store.Building(ctx, out.Building); grid.CodeOf(err) == grid.NotFound {
			view.Warnings = append(view.Warnings, "building "+strconv.Quote(out.Building)+" is not registered: its name alone holds its points together")
		}
	}
	return &body[Placed]{view}, nil
}

// actOf is who did something, and when.
func actOf(by grid.Actor, as *As, at time.Time, reason, key string) grid.Act {
	return grid.Act{By: as.actor(by), Via: "api", At: at, Reason: reason, Key: scopedKey(by, key)}
}

type retirePointInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body *struct {
		WithTickets bool      `json:"with_tickets,omitempty" doc:"Though tickets are open there."`
		Reason      string    `json:"reason,omitempty" maxLength:"1000"`
		By          *As       `json:"by,omitempty"`
		At          time.Time `json:"at,omitzero"`
	} `required:"false"`
}

func (s *Server) retirePoint(ctx context.Context, by grid.Actor, in *retirePointInput) (*body[grid.Point], error) {
	if _, err := s.pointFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	with, act := false, actOf(by, nil, time.Time{}, "", in.Key)
	if b := in.Body; b != nil {
		with, act = b.WithTickets, actOf(by, b.By, b.At, b.Reason, in.Key)
	}
	p, err := s.Engine.RetirePoint(ctx, in.ID, with, act)
	return &body[grid.Point]{p}, err
}

type noteInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body struct {
		Text string    `json:"text" minLength:"1" maxLength:"2000"`
		By   *As       `json:"by,omitempty"`
		At   time.Time `json:"at,omitzero"`
	}
}

func (s *Server) note(ctx context.Context, by grid.Actor, in *noteInput, point string, device grid.Identity) (*body[grid.Change], error) {
	c, err := s.Engine.AddNote(ctx, point, device, in.Body.Text, actOf(by, in.Body.By, in.Body.At, "", in.Key))
	return &body[grid.Change]{c}, err
}

type logInput struct {
	ID     string `path:"id"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor"`
	Type   string `query:"type" doc:"Only this action: created, changed, installed, ended, noted, photo, removed."`
}

func (s *Server) history(ctx context.Context, by grid.Actor, in *logInput, q Query) (*body[Page[grid.Change]], error) {
	q.Limit, q.Cursor, q.Type = in.Limit, in.Cursor, in.Type
	if err := s.within(ctx, by, &q); err != nil {
		return nil, err
	}
	page, err := s.Store.ListChanges(ctx, q)
	if page.Items == nil {
		page.Items = []grid.Change{}
	}
	return &body[Page[grid.Change]]{page}, err
}

type addPhotoInput struct {
	ID      string    `path:"id"`
	Key     string    `header:"Idempotency-Key" maxLength:"200"`
	Shows   string    `query:"shows" required:"true" enum:"near,far,reference,before,after,label"`
	Note    string    `query:"note" maxLength:"500"`
	By      string    `query:"by" maxLength:"200" doc:"The technician's name."`
	At      time.Time `query:"at" doc:"When it was taken, if that was without a network."`
	RawBody []byte    `contentType:"application/octet-stream"`
}

func (s *Server) addPhoto(ctx context.Context, by grid.Actor, in *addPhotoInput) (*body[grid.PointPhoto], error) {
	p, err := s.pointFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	clean, err := evidence.Clean(in.RawBody)
	if err != nil {
		return nil, err
	}
	stored, err := s.Files.Put(bytes.NewReader(clean))
	if err != nil {
		return nil, err
	}
	defer s.Files.Done(stored.SHA256)
	sent := sha256.Sum256(in.RawBody)
	var as *As
	if in.By != "" {
		as = &As{Name: in.By, Role: technician}
	}
	photo, err := s.Engine.AddPhoto(ctx, grid.PointPhoto{
		Point: p.ID, SHA256: stored.SHA256, Original: hex.EncodeToString(sent[:]), Bytes: stored.Bytes, Type: stored.Type, Shows: in.Shows, Note: in.Note,
	}, actOf(by, as, in.At, "", in.Key))
	return &body[grid.PointPhoto]{photo}, err
}

func (s *Server) listPhotos(ctx context.Context, by grid.Actor, in *logInput) (*body[Page[grid.PointPhoto]], error) {
	if _, err := s.pointFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	q := Query{Point: in.ID, Limit: in.Limit, Cursor: in.Cursor, Type: in.Type}
	if err := s.within(ctx, by, &q); err != nil {
		return nil, err
	}
	page, err := s.Store.ListPhotos(ctx, q)
	if page.Items == nil {
		page.Items = []grid.PointPhoto{}
	}
	return &body[Page[grid.PointPhoto]]{page}, err
}

func (s *Server) getPhoto(ctx context.Context, by grid.Actor, in *idInput) (*huma.StreamResponse, error) {
	photo, err := s.Store.Photo(ctx, in.ID)
	if err == nil {
		_, err = s.pointFor(ctx, by, photo.Point)
	}
	if err != nil {
		return nil, err
	}
	if !photo.Erased.IsZero() {
		return nil, wasErased("photo", photo.ID, photo.Erased, photo.Why)
	}
	return s.file(photo.SHA256, photo.Type, photo.Bytes)
}
