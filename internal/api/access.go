package api

import (
	"context"
	"strings"

	"gridgate/internal/grid"
)

// access says who reaches a route: the least role of the desk, and who else. A route that says
// nothing is for admins. What each route says stands in testdata/access.golden, to be read.
type access uint8

const (
	admins access = iota // users, tokens, configuration, registry, backup
	supervisors
	operators
	viewers // read, nothing of persons in it: see bare

	units       access = 4  // units too, with technicians among them: the handler narrows to their own
	technicians access = 8  // units of kind maintenance too: the handler narrows to their reach
	walls       access = 16 // screens that all see too
	standbys    access = 32 // second machines that copy everything too

	desk = viewers // mask of the least role
)

var deskRoles = [...]grid.Role{admins: grid.RoleAdmin, supervisors: grid.RoleSupervisor, operators: grid.RoleOperator, viewers: grid.RoleViewer}

// String names an access in the OpenAPI document, as x-access: the least role of the desk, then
// who else, as in "operator|unit".
func (a access) String() string {
	out := []string{string(deskRoles[a&desk])}
	for _, more := range []struct {
		bit  access
		role grid.Role
	}{{units, grid.RoleUnit}, {technicians, grid.RoleTechnician}, {walls, grid.RoleWall}, {standbys, grid.RoleStandby}} {
		if a&more.bit != 0 {
			out = append(out, string(more.role))
		}
	}
	return strings.Join(out, "|")
}

// admits reports whether a role reaches a route. Whether a unit does maintenance is not asked here.
func (a access) admits(r grid.Role) bool {
	switch r {
	case grid.RoleUnit, grid.RoleTechnician:
		return a&(units|technicians) != 0
	case grid.RoleWall:
		return a&walls != 0
	case grid.RoleStandby:
		return a&standbys != 0
	}
	for least := admins; least <= a&desk; least++ {
		if deskRoles[least] == r {
			return true
		}
	}
	return false
}

// allow refuses who may not come here.
func (s *Server) allow(ctx context.Context, by grid.Actor, who access) error {
	if !who.admits(by.Standing()) {
		if by.Role == grid.RoleUnit {
			return grid.Errorf(grid.Forbidden, "a unit's token reaches its own tickets and deliveries alone")
		}
		return grid.Errorf(grid.Forbidden, "role is %q: want %s", by.Standing(), strings.ReplaceAll(who.String(), "|", ", "))
	}
	if by.Role == grid.RoleUnit && who&units == 0 {
		_, err := s.reach(ctx, by)
		return err
	}
	return nil
}
