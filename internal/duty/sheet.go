package duty

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Sheet is what is wanted on paper on the day the screens are dark. Contacts are roles; a number
// stands there only where somebody with a reason has read it.
type Sheet struct {
	Made    time.Time
	Street  string // code; "": of all
	Name    string // of the street
	Posture grid.PostureName
	Units   []grid.Unit
	Tickets []grid.Ticket
	Streets []SheetStreet
	Points  int
	Reason  string // why numbers stand on it; "": none do
	By      string
}

// SheetStreet is one street of a sheet.
type SheetStreet struct {
	Code, Name string
	Buildings  []SheetBuilding
}

// SheetBuilding is one building, with whom to call for it. Its name may be "": places without one.
type SheetBuilding struct {
	Name     string
	Contacts []SheetContact
	Points   []SheetPoint
}

// SheetPoint is one point.
type SheetPoint struct {
	ID, Name    string
	Kind        grid.Kind
	Address     string
	Floor, Room string
	Lon, Lat    float64
	State       string
	Mode        grid.Mode
	Contacts    []SheetContact
}

// SheetContact is a contact by its role.
type SheetContact struct {
	ID      string
	Role    grid.ContactRole
	Channel grid.Channel
	Number  string // read with a reason
}

// SheetSource is what it is made from: what is committed.
type SheetSource interface {
	ListPoints(ctx context.Context, q state.Query) (state.Page[grid.Point], error)
	ListTickets(ctx context.Context, q state.Query) (state.Page[grid.Ticket], error)
	ListUnits(ctx context.Context, q state.Query) (state.Page[grid.Unit], error)
	ListContacts(ctx context.Context, q state.Query) (state.Page[grid.Contact], error)
	ListPostures(ctx context.Context, q state.Query) (state.Page[grid.Posture], error)
	ListRegions(ctx context.Context, q state.Query) (state.Page[grid.Region], error)
}

// MaxSheetPoints bounds one sheet: more are asked for by street or building.
const MaxSheetPoints = 20_000

// Streets are the codes of streets that have points, in order.
func Streets(ctx context.Context, from SheetSource) (out []string, err error) {
	seen := map[string]bool{}
	err = eachPage(ctx, from.ListPoints, state.Query{}, func(p *grid.Point) error {
		if !seen[p.Street] {
			seen[p.Street] = true
			out = append(out, p.Street)
		}
		return nil
	})
	slices.Sort(out)
	return out, err
}

// NewSheet makes the sheet of a street ("": of all), or of one building of it, of at most so many
// points (0: of all that there are).
func NewSheet(ctx context.Context, from SheetSource, street, building string, most int, at time.Time) (*Sheet, error) {
	s := &Sheet{Made: at, Street: street, Posture: grid.PostureNormal}
	scope := grid.Scope{Street: street}
	names := map[string]string{}
	err := eachPage(ctx, from.ListRegions, state.Query{}, func(r *grid.Region) error { names[r.Code] = r.Name; return nil })
	if err != nil {
		return nil, err
	}
	s.Name = names[street]
	if page, err := from.ListPostures(ctx, state.Query{State: "open", Limit: 1}); err != nil {
		return nil, err
	} else if len(page.Items) > 0 {
		s.Posture = page.Items[0].Name
	}
	contacts, err := contactsOf(ctx, from, scope)
	if err != nil {
		return nil, err
	}
	var points []grid.Point
	err = eachPage(ctx, from.ListPoints, state.Query{Scope: scope, Building: building}, func(p *grid.Point) error {
		if p.State == grid.PointRetired {
			return nil
		}
		if points = append(points, *p); most > 0 && len(points) > most {
			return grid.Errorf(grid.Invalid, "sheet has more than %d points: want one street or building", most)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.place(points, contacts, names)
	err = eachPage(ctx, from.ListTickets, state.Query{Scope: scope, State: "open"}, func(t *grid.Ticket) error {
		if building == "" || slices.ContainsFunc(points, func(p grid.Point) bool { return p.ID == t.Point }) {
			s.Tickets = append(s.Tickets, *t)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(s.Tickets, func(a, b grid.Ticket) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID))
	})
	return s, s.takeUnits(ctx, from, street)
}

// takeUnits are those that may be called for the street: of it, or of more than one.
func (s *Sheet) takeUnits(ctx context.Context, from SheetSource, street string) error {
	err := eachPage(ctx, from.ListUnits, state.Query{}, func(u *grid.Unit) error {
		if street == "" || u.Street == "" || u.Street == street {
			s.Units = append(s.Units, *u)
		}
		return nil
	})
	slices.SortFunc(s.Units, func(a, b grid.Unit) int { return cmp.Or(cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.ID, b.ID)) })
	return err
}

// contactsOf are the contacts of points and buildings by whom they are of, first called first.
func contactsOf(ctx context.Context, from SheetSource, scope grid.Scope) (map[string][]SheetContact, error) {
	out := map[string][]SheetContact{}
	err := eachPage(ctx, from.ListContacts, state.Query{State: "known"}, func(c *grid.Contact) error {
		if scope.Street == "" || c.Street == "" || c.Street == scope.Street {
			out[c.Of] = append(out[c.Of], SheetContact{ID: c.ID, Role: c.Role, Channel: c.Channel})
		}
		return nil
	})
	return out, err
}

// place sorts points into streets and buildings.
func (s *Sheet) place(points []grid.Point, contacts map[string][]SheetContact, names map[string]string) {
	slices.SortFunc(points, func(a, b grid.Point) int {
		return cmp.Or(cmp.Compare(a.Street, b.Street), cmp.Compare(a.Building, b.Building), cmp.Compare(a.Address, b.Address),
			cmp.Compare(a.Floor, b.Floor), cmp.Compare(a.Room, b.Room), cmp.Compare(a.ID, b.ID))
	})
	s.Points = len(points)
	for i := range points {
		p := &points[i]
		if n := len(s.Streets); n == 0 || s.Streets[n-1].Code != p.Street {
			s.Streets = append(s.Streets, SheetStreet{Code: p.Street, Name: names[p.Street]})
		}
		st := &s.Streets[len(s.Streets)-1]
		if n := len(st.Buildings); n == 0 || st.Buildings[n-1].Name != p.Building {
			b := SheetBuilding{Name: p.Building}
			if p.Building != "" {
				b.Contacts = contacts["building:"+p.Building]
			}
			st.Buildings = append(st.Buildings, b)
		}
		b := &st.Buildings[len(st.Buildings)-1]
		b.Points = append(b.Points, SheetPoint{
			ID: p.ID, Name: p.Name, Kind: p.Kind, Address: p.Address, Floor: p.Floor, Room: p.Room, Lon: p.Lon, Lat: p.Lat,
			State: string(p.State), Mode: p.Mode, Contacts: contacts["point:"+p.ID],
		})
	}
}

// Contacts are all contacts of the sheet, for reading their numbers.
func (s *Sheet) Contacts() (out []*SheetContact) {
	for i := range s.Streets {
		for j := range s.Streets[i].Buildings {
			b := &s.Streets[i].Buildings[j]
			for k := range b.Contacts {
				out = append(out, &b.Contacts[k])
			}
			for p := range b.Points {
				for k := range b.Points[p].Contacts {
					out = append(out, &b.Points[p].Contacts[k])
				}
			}
		}
	}
	return out
}

// eachPage reads a list to its end, or to the first error.
func eachPage[T any](ctx context.Context, list func(context.Context, state.Query) (state.Page[T], error), q state.Query, f func(*T) error) error {
	for q.Limit = pageSize; ; {
		page, err := list(ctx, q)
		if err != nil {
			return fmt.Errorf("duty sheet: %w", err)
		}
		for i := range page.Items {
			if err := f(&page.Items[i]); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}
