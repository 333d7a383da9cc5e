package registry

import (
	"regexp"
	"strings"

	"gridgate/internal/grid"
)

var (
	identityForm = regexp.MustCompile(`^[a-z][a-z0-9]{1,15}:[^\p{Lu}\p{Cc}#+?%]+$`)
	euiForm      = regexp.MustCompile(`^eui:[0-9a-f]{16}$`)
)

// maxIdentity is the longest identity that is ever read from the wire.
const maxIdentity = 128

// identity checks that id has the form in which frames name their device. One that can
// never be heard would be registered, and silent for ever.
func (c *checker) identity(id grid.Identity) {
	s := string(id)
	switch {
	case strings.HasPrefix(s, "eui:"):
		c.want(euiForm.MatchString(s), "device %s: want eui: and 16 hex digits in lower case", id)
	default:
		c.want(len(s) <= maxIdentity && identityForm.MatchString(s),
			"device %q: want <kind>:<name> in lower case, for example eui:24e124…, imei:86… or z2m:kitchen, of at most %d bytes", s, maxIdentity)
	}
}

// scopeCodes are the levels whose codes are numbers; each begins with the one above it.
var scopeCodes = []struct {
	name   string
	digits int
	of     func(*grid.Scope) *string
}{
	{"district", 6, func(s *grid.Scope) *string { return &s.District }},
	{"street", 9, func(s *grid.Scope) *string { return &s.Street }},
	{"community", 12, func(s *grid.Scope) *string { return &s.Community }},
}

// place checks the codes of a place, and fills in those above from those below: a cell
// tells community, street and district, and who looks after a street is to see it.
func (c *checker) place(what string, s *grid.Scope, cell string) {
	below, code := "cell", cell
	if cell != "" && !digits(cell, 15) {
		c.want(false, "%s: cell is %q: want 15 digits", what, cell)
		code = ""
	}
	for i := len(scopeCodes) - 1; i >= 0; i-- {
		level := scopeCodes[i]
		own := level.of(s)
		if *own == "" {
			*own = code[:min(level.digits, len(code))] // code is below, so longer, or not given
			continue
		}
		if !digits(*own, level.digits) {
			c.want(false, "%s: %s is %q: want %d digits", what, level.name, *own, level.digits)
			return
		}
		c.want(code == "" || strings.HasPrefix(code, *own), "%s: %s is %q, not in %s %q: want it to begin so", what, below, code, level.name, *own)
		below, code = level.name, *own
	}
}

func digits(s string, n int) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) == n
}
