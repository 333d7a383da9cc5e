package registry

import (
	"errors"
	"slices"
	"strings"

	"gridgate/internal/grid"
)

// one gives what a checker has found as one error.
func (c *checker) one(what string) error {
	if len(c.errs) == 0 {
		return nil
	}
	return grid.Errorf(grid.Invalid, "%s: %w", what, errors.Join(c.errs...))
}

// WholePoint checks all of one point and completes its codes, as Parse does.
func WholePoint(p *grid.Point) error {
	var c checker
	c.point(p)
	c.want(p.Name != "", "point %s: name is empty: want one", p.ID)
	c.want(Component(p.Component, p.District), "point %s: component is %q: want 16 digits, 6 of the district, 2 of the class, 2 of the kind, 6 of the number", p.ID, p.Component)
	c.want(slices.Contains([]grid.Privacy{"", grid.PublicSpace, grid.SharedBuilding, grid.Dwelling}, p.Privacy),
		"point %s: privacy is %q: want public_space, shared_building or dwelling", p.ID, p.Privacy)
	c.want(slices.Contains([]grid.PointState{"", grid.PointPlanned, grid.PointActive, grid.PointPending, grid.PointRetired}, p.State),
		"point %s: state is %q: want planned, active, pending or retired", p.ID, p.State)
	c.id("point", p.ID)
	return c.one("point")
}

// CheckSite and CheckBuilding do it for theirs.
func CheckSite(s *grid.Site) error {
	var c checker
	c.site(s)
	return c.one("site")
}

func CheckBuilding(b *grid.Building) error {
	var c checker
	c.building(b)
	return c.one("building")
}

func (c *checker) site(s *grid.Site) {
	what := "site " + s.ID
	c.id("site", s.ID)
	c.want(s.Name != "", "%s: name is empty: want one", what)
	c.want(slices.Contains([]grid.SiteKind{grid.CompoundSite, grid.ParkSite, grid.StreetSection}, s.Kind), "%s: kind is %q: want compound, park or street_section", what, s.Kind)
	c.somewhere(what, &s.Scope, s.Cell, s.Lon, s.Lat, s.CRS)
	mode, err := grid.ParseMode(string(s.Mode))
	c.ok(err, "%s", what)
	s.Mode = mode
}

func (c *checker) building(b *grid.Building) {
	what := "building " + b.ID
	c.id("building", b.ID)
	c.want(b.Name != "", "%s: name is empty: want one", what)
	c.want(b.Floors >= 0 && b.Floors <= 200, "%s: floors is %d: want 0 to 200", what, b.Floors)
	c.want(!digitsIn(b.KeyHolder, 7), "%s: key_holder is %q: want the role of a contact; numbers and names are kept with the contacts", what, b.KeyHolder)
	c.somewhere(what, &b.Scope, b.Cell, b.Lon, b.Lat, b.CRS)
	mode, err := grid.ParseMode(string(b.Mode))
	c.ok(err, "%s", what)
	b.Mode = mode
}

func (c *checker) somewhere(what string, s *grid.Scope, cell string, lon, lat float64, crs string) {
	c.place(what, s, cell)
	c.want(lon >= -180 && lon <= 180 && lat >= -90 && lat <= 90, "%s: position is %g, %g: want longitude and latitude in degrees", what, lon, lat)
	c.want(lon == 0 && lat == 0 || crs == "WGS84", "%s: crs is %q: want WGS84 said with the position", what, crs)
}

// id keeps ids to what fits into a path, a label and a sheet.
func (c *checker) id(what, id string) {
	c.want(id != "" && len(id) <= 100 && !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' }),
		"%s: id is %q: want 1 to 100 characters without / and \\", what, id)
}

// Component reports whether a component's code is well-formed: 6 digits of the district, 2 of
// the class, 2 of the kind, 6 of the number. "" is none.
func Component(code, district string) bool {
	return code == "" || digits(code, 16) && (district == "" || strings.HasPrefix(code, district))
}

// digitsIn reports whether a text has so many digits: it is a telephone number then.
func digitsIn(s string, n int) bool {
	for _, r := range s {
		if r >= '0' && r <= '9' {
			n--
		}
	}
	return n <= 0
}

// PrivacyOf is whose space a point looks into, where nobody has said so: what has a room of its
// own is a dwelling, but for doors that are everybody's.
func PrivacyOf(p *grid.Point) grid.Privacy {
	switch {
	case p.Kind == grid.Parking || p.Kind == grid.Manhole:
		return grid.PublicSpace
	case p.Kind == grid.Door && (p.Rules == "fire_door" || p.Rules == "secured"):
		return grid.SharedBuilding
	case p.Room != "":
		return grid.Dwelling
	}
	return grid.SharedBuilding
}
