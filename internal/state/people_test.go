package state

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/grid"
)

func TestEveryFieldOfAContactARosterAndAShiftComesBack(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "state.db"))
	ctx := t.Context()
	c, o, sh := filled[grid.Contact](), filled[grid.Roster](), filled[grid.Shift]()
	late, erased := c, c
	late.ID, late.Order = "late", c.Order+1
	erased.ID, erased.Order = "erased", c.Order-1
	c.Erased, late.Erased, o.Ended, sh.Ended = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	commit(t, s, &Batch{Contacts: []grid.Contact{late, c, erased}, Rosters: []grid.Roster{o}, Shifts: []grid.Shift{sh}})
	got, err := s.ContactsOf(ctx, c.Of)
	if d := cmp.Diff([]grid.Contact{c, late}, got); d != "" || err != nil {
		t.Errorf("contacts by order, none erased: %v (+got)\n%s", err, d)
	}
	page, err := s.ListContacts(ctx, Query{Of: c.Of})
	if err != nil || len(page.Items) != 3 || page.Items[0].ID != "erased" {
		t.Errorf("the list has %+v, %v: want all three", page.Items, err)
	}
	if page, err = s.ListContacts(ctx, Query{Unit: "u1"}); err != nil || len(page.Items) != 0 {
		t.Errorf("a unit sees %+v, %v: want no contact", page.Items, err)
	}
	one, err := s.Contact(ctx, "erased")
	if d := cmp.Diff(erased, one); d != "" || err != nil {
		t.Errorf("by id: %v\n%s", err, d)
	}
	rosters, shifts, err := s.Duty(ctx)
	if d := cmp.Diff([]grid.Roster{o}, rosters); d != "" || err != nil {
		t.Errorf("rosters: %v\n%s", err, d)
	}
	if d := cmp.Diff([]grid.Shift{sh}, shifts); d != "" {
		t.Errorf("shifts:\n%s", d)
	}
	n := 0
	if err := s.SealedContacts(ctx, func(b []byte) { n += len(b) }); err != nil || n == 0 {
		t.Errorf("what is sealed: %d bytes, %v", n, err)
	}
}
