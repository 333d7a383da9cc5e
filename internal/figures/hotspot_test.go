package figures_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gridgate/internal/figures"
	"gridgate/internal/grid"
)

// ago makes cases at a compound of the north, so many days before now each.
func ago(now time.Time, compound string, kind grid.Kind, days ...float64) (out []figures.Case) {
	for _, d := range days {
		s := north
		s.Compound = compound
		out = append(out, figures.Case{At: now.Add(-time.Duration(d * 24 * float64(time.Hour))), Kind: kind, Scope: s})
	}
	return out
}

func said(vs []figures.Verdict) (out []string) {
	for _, v := range vs {
		why := v.Hotspot.Why
		if v.Change == figures.Delist {
			why = v.Hotspot.WhyNot
		}
		out = append(out, fmt.Sprintf("%s %s %s: %s", v.Change, v.Hotspot.What, v.Hotspot.Place, why))
	}
	return out
}

func TestAPlaceIsListedByItsVerifiedAlarms(t *testing.T) {
	h := builtIn(t).Hotspots
	now := at(t, "11-22 00:05")
	// 100 alarms all over, so that no place of a few has more than 5 %.
	crowd := func() (out []figures.Case) {
		for i := range 100 {
			out = append(out, ago(now, fmt.Sprint("crowd-", i), grid.Kind(fmt.Sprint("k", i)), 10)...)
		}
		return out
	}
	mixed := func(n int, days float64) (out []figures.Case) {
		for i := range n {
			out = append(out, ago(now, "c1", grid.Kind(fmt.Sprint("k", i)), days)...)
		}
		return out
	}
	for _, c := range []struct {
		what  string
		cases []figures.Case
		want  []string
	}{
		{"three of one kind", ago(now, "c1", grid.Smoke, 1, 2, 29.9), []string{"list compound c1: 3 verified alarms of kind smoke in 30 days"}},
		{"two of one kind", ago(now, "c1", grid.Smoke, 1, 2), nil},
		{"the third is too old", ago(now, "c1", grid.Smoke, 1, 2, 30.1), nil},
		{"the third is yet to come", ago(now, "c1", grid.Smoke, 1, 2, -0.1), nil},
		{"two kinds with two each", append(ago(now, "c1", grid.Smoke, 1, 2), ago(now, "c1", grid.Door, 1, 2)...), nil},
		{"five of any", mixed(5, 3), []string{"list compound c1: 5 verified alarms in 30 days"}},
		{"four of any", mixed(4, 3), nil},
		{"nowhere", ago(now, "", grid.Smoke, 1, 2, 3, 4, 5), nil},
	} {
		if c.want == nil || !strings.Contains(c.what, "kind") {
			c.cases = append(c.cases, crowd()...)
		}
		if d := cmp.Diff(c.want, said(h.Judge(c.cases, nil, now))); d != "" {
			t.Errorf("%s (+):\n%s", c.what, d)
		}
	}
}

func TestAmongTheFirstTenWithMoreThanTheShareOfTheLoadIsListed(t *testing.T) {
	h := builtIn(t).Hotspots
	h.OneKind, h.AnyKind = 1000, 1000
	now := at(t, "11-22 00:05")
	load := func(big, others int) (out []figures.Case) {
		for range big {
			out = append(out, ago(now, "big", grid.Smoke, 5)...)
		}
		for i := range others {
			out = append(out, ago(now, fmt.Sprint("other-", i), grid.Smoke, 5)...)
		}
		return out
	}
	if got := said(h.Judge(load(4, 75), nil, now)); len(got) != 1 || got[0] != "list compound big: among the first 10 with 4 of the district's 79 verified alarms in 30 days" {
		t.Errorf("4 of 79 is more than 5 %%: %q", got)
	}
	if got := said(h.Judge(load(4, 76), nil, now)); len(got) != 0 {
		t.Errorf("4 of 80 is no more than 5 %%: %q", got)
	}
	if got := said(h.Judge(load(2, 8), nil, now)); len(got) != 0 {
		t.Errorf("two alarms in a quiet month: %q", got)
	}
	// The load is the district's: the neighbour's does not count.
	cases := load(4, 76)
	for i := range 60 {
		cases[10+i].District = "310107"
	}
	if got := said(h.Judge(cases, nil, now)); len(got) != 1 {
		t.Errorf("4 of 20 in the district: %q", got)
	}
	// Eleven places, the first ten of them by count; places of the same count are in together.
	var eleven []figures.Case
	for i := range 11 {
		for range 20 - i {
			eleven = append(eleven, ago(now, fmt.Sprintf("p%02d", i), grid.Smoke, 5)...)
		}
	}
	if got := h.Judge(eleven, nil, now); len(got) != 10 || got[9].Hotspot.Place != "p09" {
		t.Errorf("of eleven: %q", said(got))
	}
	eleven = append(eleven, ago(now, "p10", grid.Smoke, 5)...)
	if got := h.Judge(eleven, nil, now); len(got) != 11 {
		t.Errorf("of eleven with two on place ten: %q", said(got))
	}
}

func TestAPlaceLeavesTheListWhenItHasBeenQuietForSixtyDays(t *testing.T) {
	h := builtIn(t).Hotspots
	now := at(t, "11-22 00:05")
	row := func(days float64) grid.Hotspot {
		return grid.Hotspot{ID: "H", What: grid.HotspotCompound, Place: "c1", Scope: north, Listed: now.Add(-time.Duration(days * 24 * float64(time.Hour))), Why: "then", Supervised: true, Ticket: "T"}
	}
	for _, c := range []struct {
		what   string
		cases  []figures.Case
		listed grid.Hotspot
		want   []string
	}{
		{"quiet, but not for long enough", nil, row(59.9), []string{"keep compound c1: then"}},
		{"quiet for 60 days", nil, row(60), []string{"delist compound c1: 0 verified alarms in 60 days"}},
		{"with one", ago(now, "c1", grid.Smoke, 40), row(70), []string{"delist compound c1: 1 verified alarms in 60 days"}},
		{"with two", ago(now, "c1", grid.Smoke, 40, 41), row(70), []string{"keep compound c1: then"}},
		{"with two, one long ago", ago(now, "c1", grid.Smoke, 40, 61), row(70), []string{"delist compound c1: 1 verified alarms in 60 days"}},
		{"and it is not listed twice", ago(now, "c1", grid.Smoke, 1, 2, 3, 4), row(70), []string{"keep compound c1: then"}},
	} {
		got := h.Judge(c.cases, []grid.Hotspot{c.listed}, now)
		if d := cmp.Diff(c.want, said(got)); d != "" {
			t.Errorf("%s (+):\n%s", c.what, d)
		}
		for _, v := range got {
			if v.Hotspot.Supervised == (v.Change == figures.Delist) || v.Hotspot.Ticket != "T" || v.Hotspot.Delisted.IsZero() == (v.Change == figures.Delist) {
				t.Errorf("%s: %+v", c.what, v.Hotspot)
			}
		}
	}
	gone := row(90)
	gone.Delisted = now.AddDate(0, 0, -20)
	if got := said(h.Judge(ago(now, "c1", grid.Smoke, 1, 2, 3), []grid.Hotspot{gone}, now)); len(got) != 1 || got[0][:4] != "list" {
		t.Errorf("a place that was delisted and is bad again: %q", got)
	}
}

func TestANewListingTellsWhereAndHowMuch(t *testing.T) {
	h := builtIn(t).Hotspots
	now := at(t, "11-22 00:05")
	cases := append(ago(now, "c1", grid.Smoke, 1, 2, 3), ago(now, "c9", grid.Door, 1)...)
	for i := range cases {
		cases[i].Cell = "310105001001001"
		cases[i].Contractor = "anybody"
	}
	got := h.Judge(cases, nil, now)
	scope := north
	cell := north
	cell.Compound = ""
	want := []figures.Verdict{
		{Hotspot: grid.Hotspot{What: grid.HotspotCell, Place: "310105001001001", Cell: "310105001001001", Mode: grid.Live, Scope: cell, Listed: now, Judged: now, Supervised: true, Alarms: 4, Share: 1,
			Kinds: map[grid.Kind]int{grid.Smoke: 3, grid.Door: 1}, Why: "3 verified alarms of kind smoke in 30 days"}, Change: figures.List},
		{Hotspot: grid.Hotspot{What: grid.HotspotCompound, Place: "c1", Mode: grid.Live, Scope: scope, Listed: now, Judged: now, Supervised: true, Alarms: 3, Share: 0.75,
			Kinds: map[grid.Kind]int{grid.Smoke: 3}, Why: "3 verified alarms of kind smoke in 30 days"}, Change: figures.List},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("verdicts (+):\n%s", d)
	}
}

// Judged again at once, the list stays as it is; and whatever is listed or delisted on the way
// through a year has its reason in the numbers.
func TestJudgingTwiceChangesNothing(t *testing.T) {
	h := builtIn(t).Hotspots
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		start := at(t, "01-01 00:05")
		var cases []figures.Case
		for range 300 {
			s := north
			s.Compound = fmt.Sprint("c", rnd.IntN(30))
			cases = append(cases, figures.Case{At: start.Add(time.Duration(rnd.Int64N(int64(300 * 24 * time.Hour)))), Kind: []grid.Kind{grid.Smoke, grid.Door}[rnd.IntN(2)], Scope: s, Cell: fmt.Sprint("cell", rnd.IntN(60))})
		}
		list := map[string]grid.Hotspot{}
		lists, delists := 0, 0
		for day := range 365 {
			now := start.AddDate(0, 0, day)
			present := func() (out []grid.Hotspot) {
				for _, x := range list {
					out = append(out, x)
				}
				return out
			}
			for _, v := range h.Judge(cases, present(), now) {
				key := v.Hotspot.Key()
				_, was := list[key]
				if (v.Change == figures.List) == was {
					t.Fatalf("seed %d day %d: %s of %s, on the list: %v", seed, day, v.Change, key, was)
				}
				if v.Change == figures.Delist {
					delists++
					delete(list, key)
					continue
				}
				lists += map[bool]int{true: 1}[v.Change == figures.List]
				list[key] = v.Hotspot
			}
			for _, v := range h.Judge(cases, present(), now) {
				if v.Change != figures.Keep {
					t.Fatalf("seed %d day %d: judged again %s is %s", seed, day, v.Hotspot.Key(), v.Change)
				}
			}
		}
		if lists == 0 || delists == 0 {
			t.Errorf("seed %d: %d listed, %d delisted: the test tests nothing", seed, lists, delists)
		}
	}
}

func TestOnlyVerifiedAlarmsOfSensorsAreCases(t *testing.T) {
	r := builtIn(t)
	now := at(t, "12-05 00:00")
	cases, err := r.Cases(t.Context(), november(t), now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range cases {
		got = append(got, fmt.Sprintf("%s %s", c.At.Format("01-02"), c.Kind))
	}
	if d := cmp.Diff([]string{"11-03 smoke", "11-04 manhole"}, got); d != "" {
		t.Errorf("cases (+):\n%s", d)
	}
}
