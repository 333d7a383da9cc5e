package alarm

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gridgate/internal/grid"
)

// Events that people report, and when two reports may be about the same.

// concluded are events that the gateway concludes by itself; nobody sees them.
var concluded = []grid.EventType{
	grid.EventSmokeLate, grid.EventSmokeConfirmed, grid.EventSafetyUnreadable, grid.EventSmokeSuspect,
	grid.EventDeviceOffline, grid.EventGatewaySilent, grid.EventProtectionLost, grid.EventUnitUnreachable, grid.EventDataGap,
}

// MayFile reports whether people can report an event of this rule.
func MayFile(r *Rule) bool {
	return r != nil && !slices.Contains(concluded, r.Type) &&
		(r.Kind == grid.KindAlarm || r.Kind == grid.KindTamper || r.Kind == grid.KindFault)
}

const (
	maxExternal = 64
	maxWords    = 500
	maxText     = 4000
)

var (
	externalForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._:/-]*$`)
	cellForm     = regexp.MustCompile(`^[0-9]{15}$`)
)

// CheckFiling says what is wrong with a filing of the event of r, and fills in its
// priority. Smoke is P1 whoever saw it.
func CheckFiling(f *grid.Filing, r *Rule) error {
	switch f.Source {
	case grid.FromHotline, grid.FromPatrol, grid.FromVideo, grid.FromDepartment, grid.FromPublic:
	default:
		return invalid("source is %q: want hotline, patrol, video, department or public", f.Source)
	}
	if len(f.External) > maxExternal || !externalForm.MatchString(f.External) {
		return invalid("external is %.80q: want that system's own case number, up to %d letters, digits and . _ : / -", f.External, maxExternal)
	}
	if !MayFile(r) {
		return invalid("type is %q: want an event that people see, such as %s or %s", f.Type, grid.EventManholeOpen, grid.EventSmokeAlarm)
	}
	lowest := grid.Priority(4)
	if f.Type == grid.EventSmokeAlarm {
		lowest = r.Priority
	}
	f.Priority = cmp.Or(f.Priority, r.Priority)
	if f.Priority < r.Priority || f.Priority > lowest {
		return invalid("priority is %s: want %s to %s for %s", f.Priority, r.Priority, lowest, f.Type)
	}
	if utf8.RuneCountInString(f.Place) > maxWords || utf8.RuneCountInString(f.Text) > maxText {
		return invalid("place or text is too long: want at most %d and %d characters", maxWords, maxText)
	}
	return checkPlace(f)
}

func checkPlace(f *grid.Filing) error {
	positioned := f.Lon != 0 || f.Lat != 0
	switch {
	case f.Cell != "" && !cellForm.MatchString(f.Cell):
		return invalid("cell is %q: want 15 digits", f.Cell)
	case positioned && f.CRS != "WGS84":
		return invalid("crs is %q: want WGS84, the only one that is taken for now; GCJ-02 and BD-09 lie hundreds of metres off", f.CRS)
	case math.IsNaN(f.Lon) || math.IsNaN(f.Lat) || math.Abs(f.Lon) > 180 || math.Abs(f.Lat) > 90:
		return invalid("position is lon %g, lat %g: want degrees", f.Lon, f.Lat)
	case !positioned && f.CRS != "" && f.CRS != "WGS84":
		return invalid("crs is %q: want WGS84", f.CRS)
	case f.Point == "" && f.Place == "" && f.Building == "" && f.Cell == "" && !positioned:
		return invalid("place is missing: want a point, a place in words, a building, a cell or a position")
	}
	return nil
}

func invalid(format string, args ...any) error { return grid.Errorf(grid.Invalid, format, args...) }

// reachable finds what a person could be reached or known by: a mobile number, one with an
// area code, an identity card's, an e-mail address.
var reachable = regexp.MustCompile(`[0-9A-Za-z._%+-]+@[0-9A-Za-z.-]+\.[A-Za-z]{2,}|(?:\+?86[- ]?)?\b1[3-9][0-9](?:[- ]?[0-9]{4}){2}\b|\b0[0-9]{2,3}[- ][0-9]{7,8}\b|\b[1-9][0-9]{16}[0-9Xx]\b`)

// Masked is a text without what a person could be reached by: that stays in the system
// that took the report.
func Masked(text string) string {
	return strings.TrimSpace(reachable.ReplaceAllString(text, "***"))
}
