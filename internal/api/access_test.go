package api

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"gridgate/internal/commission"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

var update = flag.Bool("update", false, "write testdata/access.golden anew: read the difference before it is committed")

const goldenAccess = "testdata/access.golden"

var standings = []grid.Role{grid.RoleViewer, grid.RoleOperator, grid.RoleSupervisor, grid.RoleAdmin, grid.RoleTechnician, grid.RoleUnit, grid.RoleWall, grid.RoleStandby}

// TestEveryRouteIsReachedByTheRolesOfTheTableAndByNoOther walks all routes with all roles.
func TestEveryRouteIsReachedByTheRolesOfTheTableAndByNoOther(t *testing.T) {
	w := newFullWorld(t)
	var got strings.Builder
	fmt.Fprintf(&got, "%-62s", "# operation")
	for _, r := range standings {
		fmt.Fprintf(&got, " %-10s", r)
	}
	got.WriteByte('\n')
	for _, o := range w.operations() {
		line := fmt.Sprintf("%-62s", o.method+" "+o.path)
		for _, r := range standings {
			mark := "-"
			if w.reaches(o, r) {
				mark = "yes"
			}
			line += fmt.Sprintf(" %-10s", mark)
		}
		got.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if *update {
		if err := os.WriteFile(goldenAccess, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenAccess)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got.String() {
		t.Errorf("who reaches what is not what %s says (write it anew with -update, and read it):\n%s", goldenAccess, linesApart(string(want), got.String()))
	}
}

func linesApart(want, got string) string {
	old, now := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out strings.Builder
	for _, l := range old {
		if !slices.Contains(now, l) {
			out.WriteString("- " + l + "\n")
		}
	}
	for _, l := range now {
		if !slices.Contains(old, l) {
			out.WriteString("+ " + l + "\n")
		}
	}
	return out.String()
}

func TestARouteThatSaysNothingIsForAdmins(t *testing.T) {
	var a access
	for _, r := range standings {
		if a.admits(r) != (r == grid.RoleAdmin) {
			t.Errorf("%s: %v", r, a.admits(r))
		}
	}
}

type routeOf struct{ method, path string }

// newFullWorld has every part whose routes are left out without it. What is behind a route may
// fail in it: the question is who comes so far.
func newFullWorld(t *testing.T) *world {
	w := newWorld(t)
	d := w.server.Deps
	d.Visits, d.VisitStore, d.Commission = struct{ Visits }{}, struct{ VisitStore }{}, &commission.Plans{}
	d.Imports, d.Filer, d.Hazards = struct{ Imports }{}, struct{ Filer }{}, struct{ Hazards }{}
	d.Who = func(_ context.Context, token string) (grid.Actor, error) {
		by := grid.Actor{Role: grid.Role(token), Account: grid.Role(token), Name: "who"}
		switch by.Account {
		case grid.RoleTechnician:
			by.Role, by.Unit = grid.RoleUnit, "lift-1"
		case grid.RoleUnit:
			by.Unit = "fire-1"
		}
		return by, nil
	}
	w.commit(&state.Batch{Units: []grid.Unit{{ID: "lift-1", Name: "Lift", Kind: grid.Maintenance, Mode: grid.Live}}})
	w.server = New(d)
	w.server.hub.close() // or a stream would not end
	return w
}

// reaches asks a route with a role and reports whether it is let in by it.
func (w *world) reaches(o routeOf, r grid.Role) bool {
	req := httptest.NewRequestWithContext(w.Context(), o.method, strings.NewReplacer("{", "x", "}", "x").Replace(o.path), nil)
	req.Header.Set("Authorization", "Bearer "+string(r))
	got := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(got, req)
	said := got.Body.String()
	if got.Code == http.StatusUnauthorized {
		w.Errorf("%s %s as %s: %s", o.method, o.path, r, said)
	}
	return got.Code != http.StatusForbidden || !strings.Contains(said, "role is") && !strings.Contains(said, "its own tickets and deliveries alone")
}

func (w *world) operations() (out []routeOf) {
	for path, item := range w.server.OpenAPI().Paths {
		for method, there := range map[string]bool{"GET": item.Get != nil, "POST": item.Post != nil, "PUT": item.Put != nil, "PATCH": item.Patch != nil, "DELETE": item.Delete != nil} {
			if there {
				out = append(out, routeOf{method, path})
			}
		}
	}
	slices.SortFunc(out, func(a, b routeOf) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return out
}
