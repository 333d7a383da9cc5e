package alarm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Limits of windows. What concerns smoke is no matter of configuration.
const (
	MaxSmokeWindow  = 30 * time.Minute // commissioning and maintenance of smoke points
	MaxSmokeOut     = 24 * time.Hour   // smoke out of service
	MaxShelf        = 7 * 24 * time.Hour
	MaxPermit       = 7 * 24 * time.Hour
	MaxWork         = 24 * time.Hour // commissioning and maintenance of other points
	MaxOut          = 7 * 24 * time.Hour
	MaxExercise     = 12 * time.Hour
	MaxAhead        = 30 * 24 * time.Hour // a window may be planned so long before it begins
	MaxWindowPoints = 500
	MaxScript       = 500

	AskFor      = 60 * time.Second // "is it you?": no answer dispatches
	GuardedFor  = 10 * time.Minute // "guarded?": likewise
	SessionGone = 2 * time.Minute  // a session that is silent for so long is gone
)

// Place is a point that a window would cover, as far as it bears on whether it may.
type Place struct {
	ID    string
	Kind  grid.Kind
	Named bool // by the window; else it lies in its area
	Rules []*Rule
}

// CheckWindow says what speaks against a new window over these places, or one whose end is
// moved: the places of its area too.
func CheckWindow(w *grid.Window, places []Place, now time.Time) error {
	if err := checkBounds(w, now); err != nil {
		return err
	}
	smoke := smokeAmong(w, places)
	switch w.Kind {
	case grid.WindowCommissioning, grid.WindowMaintenance:
		return checkWork(w, smoke)
	case grid.WindowOutOfService:
		return checkOut(w, smoke)
	case grid.WindowShelved:
		return checkShelf(w, places, smoke)
	case grid.WindowPermit:
		return checkPermit(w, places)
	case grid.WindowExercise:
		return checkExercise(w, places)
	}
	return fmt.Errorf("kind is %q: want one of %v", w.Kind, grid.WindowKinds)
}

// smokeAmong is the first smoke point that the window covers: only those that it names.
func smokeAmong(w *grid.Window, places []Place) string {
	for i := range places {
		if places[i].Kind == grid.Smoke && places[i].Named {
			return places[i].ID
		}
	}
	return ""
}

func checkBounds(w *grid.Window, now time.Time) error {
	switch {
	case len(w.Points) == 0 && w.Area.IsZero():
		return fmt.Errorf("points and area are empty: want the points that the window covers, or a street, compound or building")
	case len(w.Points) > MaxWindowPoints:
		return fmt.Errorf("points are %d: want at most %d, or an area", len(w.Points), MaxWindowPoints)
	case w.To.IsZero():
		return fmt.Errorf("to is missing: want when the window ends by itself")
	case !w.To.After(w.From) || !w.To.After(now):
		return fmt.Errorf("from is %s and to is %s: want an end after the beginning, and to come", w.From.Format(time.RFC3339), w.To.Format(time.RFC3339))
	case w.From.Sub(now) > MaxAhead:
		return fmt.Errorf("from is %s: want at most %d days from now", w.From.Format(time.RFC3339), MaxAhead/(24*time.Hour))
	case w.By.Name == "":
		return fmt.Errorf("by is empty: want who opens the window")
	}
	return nil
}

func longest(w *grid.Window, most time.Duration, why string) error {
	if d := w.To.Sub(w.From); d > most {
		return fmt.Errorf("%s window lasts %s: want at most %s%s", w.Kind, d.Round(time.Second), most, why)
	}
	return nil
}

func checkWork(w *grid.Window, smoke string) error {
	if smoke == "" {
		return longest(w, MaxWork, "")
	}
	if w.Session == "" {
		return fmt.Errorf("session is empty and %s is a smoke point: want the technician's live session, who is asked when it alarms", smoke)
	}
	return longest(w, MaxSmokeWindow, fmt.Sprintf(", as %s is a smoke point", smoke))
}

func checkOut(w *grid.Window, smoke string) error {
	switch {
	case w.Reason == "":
		return fmt.Errorf("reason is empty: want why the points are out of service")
	case smoke == "":
		return longest(w, MaxOut, "")
	case w.By.Role != grid.RoleSupervisor:
		return fmt.Errorf("by is the %s %s and %s is a smoke point: want a supervisor", w.By.Role, w.By.Name, smoke)
	case w.Patrol == "":
		return fmt.Errorf("patrol is empty and %s is a smoke point: want the name of who walks there meanwhile", smoke)
	}
	return longest(w, MaxSmokeOut, fmt.Sprintf(", as %s is a smoke point", smoke))
}

func checkShelf(w *grid.Window, places []Place, smoke string) error {
	switch {
	case w.Reason == "":
		return fmt.Errorf("reason is empty: want why it is shelved")
	case len(w.Types) == 0:
		return fmt.Errorf("types is empty: want the event types that are shelved")
	case smoke != "":
		return fmt.Errorf("%s is a smoke point: want none, smoke cannot be shelved; mend it, or take it out of service with a patrol", smoke)
	}
	for _, t := range w.Types {
		if ofSmoke(t) {
			return fmt.Errorf("types has %s: want none of smoke, which cannot be shelved", t)
		}
		for i := range places {
			for _, r := range places[i].Rules {
				if r.Type == t && r.Priority == 1 && places[i].Kind != grid.Smoke {
					return fmt.Errorf("types has %s, which is P1 at %s: want P2 or less, what may cost a life cannot be shelved", t, places[i].ID)
				}
			}
		}
	}
	return longest(w, MaxShelf, "")
}

func checkPermit(w *grid.Window, places []Place) error {
	if w.Holder == "" {
		return fmt.Errorf("holder is empty: want the unit or person who guards the open covers")
	}
	for i := range places {
		if p := &places[i]; p.Named && p.Kind != grid.Manhole {
			return fmt.Errorf("%s is a %s point: want manholes, a permit is for open covers", p.ID, p.Kind)
		}
	}
	for _, t := range w.Types {
		if !slices.Contains(permitTypes, t) {
			return fmt.Errorf("types has %s: want some of %v", t, permitTypes)
		}
	}
	return longest(w, MaxPermit, "")
}

// permitTypes is what a crew that lifts covers sets off; without types the first two.
var permitTypes = []grid.EventType{grid.EventManholeOpen, grid.EventManholeTilted, grid.EventDeviceTamper}

func checkExercise(w *grid.Window, places []Place) error {
	switch {
	case w.Lead == "":
		return fmt.Errorf("lead is empty: want who leads the exercise")
	case len(w.Script) == 0:
		return fmt.Errorf("script is empty: want the alarms that the exercise expects: what is not in it is live")
	case len(w.Script) > MaxScript:
		return fmt.Errorf("script has %d lines: want at most %d", len(w.Script), MaxScript)
	}
	for i, x := range w.Script {
		j := slices.IndexFunc(places, func(p Place) bool { return p.ID == x.Point })
		switch {
		case j < 0:
			return fmt.Errorf("script[%d].point is %q: want a point of the exercise", i, x.Point)
		case !slices.ContainsFunc(places[j].Rules, func(r *Rule) bool { return r.Type == x.Type && !r.Moment }):
			return fmt.Errorf("script[%d].type is %q: want an event that %s can raise", i, x.Type, x.Point)
		case x.From.Before(w.From) || x.To.After(w.To) || !x.To.After(x.From):
			return fmt.Errorf("script[%d] is from %s to %s: want a time within the exercise", i, x.From.Format(time.RFC3339), x.To.Format(time.RFC3339))
		}
	}
	return longest(w, MaxExercise, "")
}

func ofSmoke(t grid.EventType) bool {
	return strings.HasPrefix(string(t), "smoke.") || t == grid.EventSafetyUnreadable || t == grid.EventProtectionLost
}

// Alive reports whether the session of a window was heard within gone.
func Alive(w *grid.Window, now time.Time, gone time.Duration) bool {
	return w.Session == "" || now.Sub(w.Touched) < gone
}

// WindowEnd is when a window ends by itself: at its end, or when its session is gone.
func WindowEnd(w *grid.Window, gone time.Duration) (at time.Time, by string) {
	if dead := w.Touched.Add(gone); w.Session != "" && dead.Before(w.To) {
		return dead, "session"
	}
	return w.To, "clock"
}

// Scripted gives the line of an exercise's script that expects an alarm, if one does.
func Scripted(w *grid.Window, point string, t grid.EventType, at time.Time) (grid.Expected, bool) {
	if w.Kind != grid.WindowExercise || !running(w, at) {
		return grid.Expected{}, false
	}
	for _, x := range w.Script {
		if x.Point == point && x.Type == t && !at.Before(x.From) && at.Before(x.To) {
			return x, true
		}
	}
	return grid.Expected{}, false
}

func running(w *grid.Window, at time.Time) bool {
	return w.Open() && !at.Before(w.From) && at.Before(w.To)
}

// Covers says how an episode that begins at a place at a time stands to a window: "" when
// it is not covered. On smoke alarms a window only asks, those that name the point; what
// tells that smoke cannot be seen is never covered, and a shelf never covers P1.
func Covers(w *grid.Window, p Place, t grid.EventType, priority grid.Priority, at time.Time, gone time.Duration) grid.CoverState {
	if !running(w, at) || !Alive(w, at, gone) || len(w.Types) > 0 && !slices.Contains(w.Types, t) {
		return ""
	}
	if p.Kind == grid.Smoke {
		return coversSmoke(w, p, t)
	}
	switch w.Kind {
	case grid.WindowPermit:
		return coversPermit(w, p, t)
	case grid.WindowShelved:
		if priority == 1 {
			return ""
		}
	case grid.WindowExercise:
		return ""
	}
	if ofSmoke(t) {
		return ""
	}
	return grid.CoverHeld
}

func coversSmoke(w *grid.Window, p Place, t grid.EventType) grid.CoverState {
	switch w.Kind {
	case grid.WindowCommissioning, grid.WindowMaintenance:
		if w.Session == "" { // opened when the point was of another kind
			return ""
		}
	case grid.WindowOutOfService:
		if w.Patrol == "" {
			return ""
		}
	default:
		return ""
	}
	switch {
	case !p.Named || t == grid.EventSmokeLate || t == grid.EventSafetyUnreadable:
		return ""
	case t == grid.EventSmokeAlarm:
		return grid.CoverAsked
	}
	return grid.CoverHeld
}

func coversPermit(w *grid.Window, p Place, t grid.EventType) grid.CoverState {
	switch {
	case p.Kind != grid.Manhole || !slices.Contains(permitTypes, t):
		return ""
	case t == grid.EventManholeOpen:
		return grid.CoverAsked
	case t == grid.EventDeviceTamper && len(w.Types) == 0:
		return ""
	}
	return grid.CoverHeld
}

// Question is the cover of an episode of which somebody is asked; it stands until due at
// the latest, and never longer than the window.
func Question(w *grid.Window, at time.Time) grid.Cover {
	c := grid.Cover{Window: w.ID, Kind: w.Kind, State: grid.CoverAsked, Ask: "is it you?", Of: w.By.Name, Due: at.Add(AskFor)}
	switch w.Kind {
	case grid.WindowPermit:
		c.Ask, c.Of, c.Due = "guarded?", w.Holder, at.Add(GuardedFor)
	case grid.WindowOutOfService:
		c.Ask, c.Of = "is it false?", w.Patrol
	}
	if w.To.Before(c.Due) {
		c.Due = w.To
	}
	return c
}
