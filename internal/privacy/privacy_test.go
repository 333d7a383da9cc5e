package privacy

import (
	"strings"
	"testing"
	"time"

	"gridgate/configs"
	"gridgate/internal/grid"
)

func builtIn(t *testing.T) *Classes {
	t.Helper()
	b, err := configs.FS.ReadFile("privacy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse("privacy.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestADwellingIsCoarseShortLivedAndAuditedByDefault(t *testing.T) {
	c := builtIn(t)
	if got := c.Of(grid.Dwelling); got.Doors != Coarse || got.LiveDoors != Coarse || got.ReadingsDays < 1 || got.ReadingsDays > 30 || !got.Audited {
		t.Errorf("%+v: want it coarse, 30 days at most, and audited", got)
	}
	for _, p := range []grid.Privacy{grid.PublicSpace, grid.SharedBuilding, ""} {
		if got := c.Of(p); got.Doors != Exact || got.LiveDoors != Exact || got.ReadingsDays != 0 {
			t.Errorf("%s: %+v: want it exact", p, got)
		}
	}
	if c.ReadingsDays() != 7 {
		t.Errorf("coarse readings are kept %d days, want 7", c.ReadingsDays())
	}
}

func TestWhatThePrivacyFileSaysWrongIsNamed(t *testing.T) {
	const good = "classes:\n  public_space: {doors: exact, live_doors: exact}\n  shared_building: {doors: exact, live_doors: exact}\n  dwelling: {doors: coarse, live_doors: none, readings_days: 7}\n"
	if _, err := Parse("a.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for said, c := range map[string][2]string{
		"doors is \"fine\"":               {"doors: coarse", "doors: fine"},
		"readings_days is 9999":           {"readings_days: 7", "readings_days: 9999"},
		"want coarse or none":             {"doors: coarse", "doors: exact"},
		"classes.public_space is missing": {"  public_space: {doors: exact, live_doors: exact}\n", ""},
		"classes.home is no class":        {"dwelling", "home"},
		"unknown field":                   {"readings_days", "reading_days"},
	} {
		if _, err := Parse("a.yaml", []byte(strings.Replace(good, c[0], c[1], 1))); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%v: want it to say %s", err, said)
		}
	}
}

func TestAnHourHidesTheMinute(t *testing.T) {
	if got := Hour(time.Date(2026, 3, 1, 8, 59, 59, 9, time.UTC)); !got.Equal(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)) {
		t.Errorf("the hour is %s", got)
	}
}
