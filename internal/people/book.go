package people

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"gridgate/internal/calendar"
	"gridgate/internal/grid"
)

// Book knows the calendars that contacts, rosters and shifts may name. The nil Book knows
// none, and all hours.
type Book struct {
	calendars *calendar.Calendars
}

// NewBook makes a book.
func NewBook(calendars *calendar.Calendars) *Book { return &Book{calendars} }

// hours gives the hours that a name stands for; "" is all of them.
func (b *Book) hours(name string) (calendar.Hours, error) {
	if name == "" {
		return calendar.Hours{}, nil
	}
	if b == nil || b.calendars == nil {
		return calendar.Hours{}, fmt.Errorf("calendar %q is unknown: want none", name)
	}
	c, err := b.calendars.Get(name)
	return calendar.Hours{Calendar: c}, err
}

// Owner takes "unit:fire-1" apart and says whether its kind is one of the wanted.
func Owner(of string, kinds ...string) (kind, id string, err error) {
	kind, id, ok := strings.Cut(of, ":")
	if !ok || id == "" || !slices.Contains(kinds, kind) {
		return "", "", grid.Errorf(grid.Invalid, "%q is nobody's: want %s:…", of, strings.Join(kinds, ":…, "))
	}
	return kind, id, nil
}

// The kinds of owners of contacts, and of what a roster is for.
var (
	ownsContacts = []string{"point", "building", "unit", "person"}
	hasRoster    = []string{"unit", "seat"}
	roles        = []grid.ContactRole{grid.Occupant, grid.Neighbour, grid.KeyHolder, grid.DutyPhone}
	channels     = []grid.Channel{grid.Voice, grid.SMS, grid.App, grid.Chat}
)

// CheckContact says what is wrong with a contact, its number apart.
func (b *Book) CheckContact(c *grid.Contact) error {
	if _, _, err := Owner(c.Of, ownsContacts...); err != nil {
		return fmt.Errorf("of: %w", err)
	}
	if !slices.Contains(roles, c.Role) {
		return grid.Errorf(grid.Invalid, "role is %q: want one of %v", c.Role, roles)
	}
	if !slices.Contains(channels, c.Channel) {
		return grid.Errorf(grid.Invalid, "channel is %q: want one of %v", c.Channel, channels)
	}
	if c.Order < 0 || c.Order > 999 {
		return grid.Errorf(grid.Invalid, "order is %d: want 0 to 999", c.Order)
	}
	if _, err := b.hours(c.Hours); err != nil {
		return grid.Errorf(grid.Invalid, "hours: %w", err)
	}
	return nil
}

// CheckRoster says what is wrong with a roster.
func (b *Book) CheckRoster(r *grid.Roster) error {
	if _, _, err := Owner(r.For, hasRoster...); err != nil {
		return fmt.Errorf("for: %w", err)
	}
	if r.ID == "" {
		return grid.Errorf(grid.Invalid, "id is missing: want a name for the roster")
	}
	if _, err := b.hours(r.Hours); err != nil {
		return grid.Errorf(grid.Invalid, "hours: %w", err)
	}
	return nil
}

// CheckShift says what is wrong with a shift.
func (b *Book) CheckShift(s *grid.Shift) error {
	if _, _, err := Owner(s.For, hasRoster...); err != nil {
		return fmt.Errorf("for: %w", err)
	}
	switch {
	case s.Person == "":
		return grid.Errorf(grid.Invalid, "person is missing: want a number of staff or a word for the post")
	case s.From.IsZero():
		return grid.Errorf(grid.Invalid, "from is missing: want when the shift begins")
	case !s.To.IsZero() && !s.To.After(s.From):
		return grid.Errorf(grid.Invalid, "to is %s: want a time after from, or none", s.To.Format(time.RFC3339))
	case (s.Every != 0) != (s.Length != 0) || s.Every < 0 || s.Length < 0 || s.Length > s.Every:
		return grid.Errorf(grid.Invalid, "every is %s and length is %s: want both, and a turn that is not longer than its round", s.Every, s.Length)
	}
	if _, err := b.hours(s.Hours); err != nil {
		return grid.Errorf(grid.Invalid, "hours: %w", err)
	}
	return nil
}

// Reachable are the contacts that may be called at a time, in the order of calling.
func (b *Book) Reachable(all []grid.Contact, at time.Time) (out []grid.Contact) {
	for _, c := range all {
		if h, err := b.hours(c.Hours); c.Erased.IsZero() && (err != nil || h.Contains(at)) { // a calendar that is gone keeps nobody from being called
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b grid.Contact) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Mask shows enough of a number to tell it from another, and not enough to call it.
func Mask(number string) string {
	n := []rune(number)
	if len(n) < 8 {
		return "****"
	}
	return string(n[:3]) + "****" + string(n[len(n)-2:])
}

// HideNumbers puts asterisks in the place of what may be a telephone number: seven digits
// or more, with the signs that people put between them.
func HideNumbers(text string) string { return likeNumber.ReplaceAllString(text, "****") }

var likeNumber = regexp.MustCompile(`\+?[0-9](?:[ ()./-]{0,2}[0-9]){6,}`)
