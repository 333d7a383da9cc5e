package dispatch

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/grid"
)

// CAPTable says as data what CAP 1.2 wants to know of an event.
type CAPTable struct {
	Sender      string                      `yaml:"sender"`
	SenderName  string                      `yaml:"sender_name"`
	Zone        string                      `yaml:"zone"`
	Restriction string                      `yaml:"restriction"`
	Contact     string                      `yaml:"contact"`
	Events      map[grid.EventType]CAPEvent `yaml:"events"`
	Areas       []CAPArea                   `yaml:"areas"`

	zone *time.Location
}

// CAPEvent is one line of the table.
type CAPEvent struct {
	Category  []string `yaml:"category"`
	Response  []string `yaml:"response"`
	Urgency   string   `yaml:"urgency"`
	Severity  string   `yaml:"severity"`
	Certainty string   `yaml:"certainty"`
	RadiusKM  float64  `yaml:"radius_km"`
	Class     string   `yaml:"class"`
}

// CAPArea is the polygon of a cell, community, street or district.
type CAPArea struct {
	Code    string `yaml:"code"`
	Polygon string `yaml:"polygon"`
}

// The words of CAP 1.2, section 3.2.
var (
	capCategories  = strings.Fields("Geo Met Safety Security Rescue Fire Health Env Transport Infra CBRNE Other")
	capResponses   = strings.Fields("Shelter Evacuate Prepare Execute Avoid Monitor Assess None")
	capUrgencies   = strings.Fields("Immediate Expected Future Past Unknown")
	capSeverities  = strings.Fields("Extreme Severe Moderate Minor Unknown")
	capCertainties = strings.Fields("Observed Likely Possible Unlikely Unknown")
)

// ParseCAPTable reads strict YAML.
func ParseCAPTable(name string, file []byte) (*CAPTable, error) {
	var t CAPTable
	if err := yaml.NewDecoder(bytes.NewReader(file), yaml.Strict()).Decode(&t); err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	if err := t.check(); err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	return &t, nil
}

func (t *CAPTable) check() error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	want(t.Sender != "" && !strings.ContainsAny(t.Sender, " \t\r\n,<&"), "sender is %q: want a name without spaces, commas, < and &", t.Sender)
	want(t.Restriction != "", "restriction is empty: want whom the messages are for")
	at, err := time.Parse("-07:00", t.Zone)
	want(err == nil, "zone is %q: want one like +08:00", t.Zone)
	t.zone = at.Location()
	_, ok := t.Events["default"]
	want(ok, "events: default is missing: want the line for events that are not named")
	for name, e := range t.Events {
		among := func(what string, known []string, got ...string) {
			for _, g := range got {
				want(slices.Contains(known, g), "event %s: %s is %q: want one of %v", name, what, g, known)
			}
		}
		want(len(e.Category) > 0, "event %s: category is missing: want one at least", name)
		among("category", capCategories, e.Category...)
		among("response", capResponses, e.Response...)
		among("urgency", capUrgencies, e.Urgency)
		among("severity", capSeverities, e.Severity)
		among("certainty", capCertainties, e.Certainty)
		want(e.RadiusKM >= 0 && e.RadiusKM <= 100, "event %s: radius_km is %g: want 0 to 100", name, e.RadiusKM)
	}
	for _, a := range t.Areas {
		if err := polygonOK(a.Polygon); err != nil {
			errs = append(errs, fmt.Errorf("area %s: %w", a.Code, err))
		}
		want(a.Code != "", "area %q: code is empty: want digits of a cell, community, street or district", a.Polygon)
	}
	return errors.Join(errs...)
}

// polygonOK: at least four pairs of latitude and longitude, the last the first again.
func polygonOK(s string) error {
	pairs := strings.Fields(s)
	if len(pairs) < 4 || pairs[0] != pairs[len(pairs)-1] {
		return fmt.Errorf("polygon has %d corners: want four at least, the last the first again", len(pairs))
	}
	for _, p := range pairs {
		la, lo, _ := strings.Cut(p, ",")
		lat, err1 := strconv.ParseFloat(la, 64)
		lon, err2 := strconv.ParseFloat(lo, 64)
		if err1 != nil || err2 != nil || math.Abs(lat) > 90 || math.Abs(lon) > 180 {
			return fmt.Errorf("polygon has the corner %q: want latitude,longitude", p)
		}
	}
	return nil
}

func (t *CAPTable) event(e grid.EventType) CAPEvent {
	if line, ok := t.Events[e]; ok {
		return line
	}
	return t.Events["default"]
}

// polygon is that of the smallest named area that the place lies in, "" where there is none.
func (t *CAPTable) polygon(p bodyPlace) string {
	best := CAPArea{}
	for _, a := range t.Areas {
		for _, code := range []string{p.Cell, p.Community, p.Street} {
			if strings.HasPrefix(code, a.Code) && len(a.Code) > len(best.Code) {
				best = a
			}
		}
	}
	return best.Polygon
}
