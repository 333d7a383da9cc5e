package profile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gridgate/internal/grid"
)

// Firmware is the range of firmware versions a profile holds for; the zero value is all.
type Firmware struct {
	From  string `json:"from,omitempty"`  // this and later ones
	Below string `json:"below,omitempty"` // only those before it
}

// String gives the range in words.
func (f Firmware) String() string {
	switch {
	case f.From != "" && f.Below != "":
		return f.From + " to below " + f.Below
	case f.From != "":
		return "from " + f.From
	case f.Below != "":
		return "below " + f.Below
	}
	return ""
}

// Holds reports whether a version lies in the range.
func (f Firmware) Holds(version string) bool {
	return (f.From == "" || compareVersions(version, f.From) >= 0) && (f.Below == "" || compareVersions(version, f.Below) < 0)
}

// overlaps reports whether some version lies in both.
func (f Firmware) overlaps(g Firmware) bool {
	before := func(a, b Firmware) bool {
		return a.Below != "" && b.From != "" && compareVersions(a.Below, b.From) <= 0
	}
	return !before(f, g) && !before(g, f)
}

func compileFirmware(s *firmwareSpec) (Firmware, error) {
	if s == nil {
		return Firmware{}, nil
	}
	f := Firmware{From: s.From, Below: s.Below}
	switch {
	case f == Firmware{}:
		return f, fmt.Errorf("firmware_range: want from, below or both, or leave it out")
	case f.From != "" && f.Below != "" && compareVersions(f.From, f.Below) >= 0:
		return f, fmt.Errorf("firmware_range: nothing is from %s and below %s", f.From, f.Below)
	}
	return f, nil
}

// compareVersions compares part by part, numbers as numbers: 0.9 is before 0.29, V1.2
// is 1.2, and 1.2 is before 1.2.1.
func compareVersions(a, b string) int {
	split := func(v string) []string {
		v = strings.ToLower(v)
		if len(v) > 1 && v[0] == 'v' && unicode.IsDigit(rune(v[1])) {
			v = v[1:]
		}
		return strings.FieldsFunc(v, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	as, bs := split(a), split(b)
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.ParseUint(as[i], 10, 64)
		y, errY := strconv.ParseUint(bs[i], 10, 64)
		order := cmp.Compare(as[i], bs[i])
		if errX == nil && errY == nil {
			order = cmp.Compare(x, y)
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// ForModel picks the profile of a model by its names and its firmware, which may be ""
// where there is only one. A vendor of "" is any.
func (s *Set) ForModel(vendor, model, firmware string) (*Profile, error) {
	var named, fit []*Profile
	for _, p := range s.list {
		if !p.IsOf(vendor, model, "") {
			continue
		}
		named = append(named, p)
		if p.IsOf("", "", firmware) {
			fit = append(fit, p)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(named) == 0:
		return nil, grid.Errorf(grid.NotFound, "no profile is for the model %q of %q", model, vendor)
	case len(fit) == 0:
		return nil, grid.Errorf(grid.NotFound, "no profile of the model %q is for firmware %q: want one of %s", model, firmware, ranges(named))
	case firmware == "":
		return nil, grid.Errorf(grid.Conflict, "%d profiles are for the model %q: say its vendor and firmware, which is one of %s", len(fit), model, ranges(fit))
	}
	return nil, grid.Errorf(grid.Conflict, "%d profiles are for the model %q and firmware %q: say its vendor; they are %s", len(fit), model, firmware, ranges(fit))
}

// IsOf reports whether the profile is for a vendor, model and firmware; "" is any.
func (p *Profile) IsOf(vendor, model, firmware string) bool {
	return (vendor == "" || squeeze(vendor) == squeeze(p.Vendor)) &&
		(model == "" || slices.Contains(p.identify.models, squeeze(model))) &&
		(firmware == "" || p.Range.Holds(firmware))
}

func ranges(list []*Profile) string {
	var out []string
	for _, p := range list {
		if r := p.Range.String(); r != "" {
			out = append(out, p.ID+" ("+r+")")
		} else {
			out = append(out, p.ID)
		}
	}
	return strings.Join(out, ", ")
}

// Overlaps tells, by id, of profiles that are for the same vendor, model and firmware as
// another: nothing could choose between them.
func (s *Set) Overlaps() map[string]error {
	wrong := map[string]error{}
	for _, p := range s.list {
		for _, q := range s.list {
			if p != q && squeeze(p.Vendor) == squeeze(q.Vendor) && squeeze(p.Model) == squeeze(q.Model) && p.Range.overlaps(q.Range) {
				wrong[p.ID] = grid.Errorf(grid.Conflict, "%s is for the same %s %s as %s: want firmware_range on each, apart from the other's", p.ID, p.Vendor, p.Model, q.ID)
			}
		}
	}
	return wrong
}
