package profile

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Bounds of what a comparison keeps, however many frames it has seen.
const (
	maxDiffFields   = 200
	fieldExamples   = 5
	maxDiffExamples = 20
)

// Result is what one version of a profile makes of a frame.
type Result struct {
	Out grid.Decoded
	Err error
}

// Try decodes a frame. A panic of the codec is an error like another.
func (p *Profile) Try(f grid.Frame) (r Result) {
	defer func() {
		if what := recover(); what != nil {
			r = Result{Err: fmt.Errorf("profile %s: decoder failed: %v", p.ID, what)}
		}
	}()
	r.Out, r.Err = p.Decode(f)
	return r
}

// Example is one frame that two versions read differently.
type Example struct {
	Frame    string        `json:"frame" doc:"lane/epoch/sequence"`
	Device   grid.Identity `json:"device"`
	Received time.Time     `json:"received"`
	Old      string        `json:"old,omitempty"`
	New      string        `json:"new,omitempty"`
}

// FieldDiff counts what becomes of one field: a signal of a channel, or the frame's
// sequence, time, restart, answer.
type FieldDiff struct {
	Field    string    `json:"field"`
	Channel  string    `json:"channel,omitempty"`
	Same     int64     `json:"same"`
	Changed  int64     `json:"changed"`
	Appeared int64     `json:"appeared" doc:"Only the new version says it."`
	Lost     int64     `json:"lost" doc:"Only the old version says it."`
	Examples []Example `json:"examples,omitempty"`
}

// Differs reports whether the versions ever disagree on the field.
func (f *FieldDiff) Differs() bool { return f.Changed+f.Appeared+f.Lost > 0 }

// LostAlarm is a frame in which the old version says an alarm and the new one does not.
type LostAlarm struct {
	Signal  string `json:"signal"`
	Channel string `json:"channel,omitempty"`
	Example
}

// QuarantineDiff says what the new version makes of the waiting frames of the devices.
type QuarantineDiff struct {
	Frames int64 `json:"frames"`
	Mended int64 `json:"mended" doc:"The new version reads them."`
}

// Diff is what changes from one version of a profile to another, on real frames.
type Diff struct {
	Profile string `json:"profile"`
	Old     string `json:"old,omitempty" doc:"Version; empty: there is none."`
	New     string `json:"new"`

	Frames       int64 `json:"frames" doc:"Compared."`
	Same         int64 `json:"same" doc:"Read alike by both."`
	Changed      int64 `json:"changed" doc:"Read by both, differently."`
	NewErrors    int64 `json:"new_errors" doc:"Only the old version reads them."`
	Mended       int64 `json:"mended" doc:"Only the new version reads them."`
	BothFail     int64 `json:"both_fail"`
	MoreWarnings int64 `json:"more_warnings" doc:"Frames."`
	LessWarnings int64 `json:"less_warnings" doc:"Frames."`
	LostAlarms   int64 `json:"lost_alarms" doc:"Alarms that only the old version says."`
	NewAlarms    int64 `json:"new_alarms" doc:"Alarms that only the new version says."`

	Fields     []FieldDiff     `json:"fields"`
	Alarms     []LostAlarm     `json:"alarms,omitempty" doc:"The first lost alarms."`
	Errors     []Example       `json:"errors,omitempty" doc:"The first new errors."`
	Mends      []Example       `json:"mends,omitempty" doc:"The first mended errors."`
	Quarantine *QuarantineDiff `json:"quarantine,omitempty"`
	Devices    int             `json:"devices,omitempty" doc:"Whose frames were looked for."`
	Cut        string          `json:"cut,omitempty" doc:"Why it ended before the last frame."`
}

// Recounts reports whether the versions read the device's own counter differently: then
// their frames cannot be told apart by one window of counters.
func (d *Diff) Recounts() bool {
	return slices.ContainsFunc(d.Fields, func(f FieldDiff) bool { return f.Field == sequenceField && f.Differs() })
}

const sequenceField = "sequence"

// Where is which frame it was.
type Where struct {
	Pos      grid.Pos
	Device   grid.Identity
	Received time.Time
}

// Comparison adds up what two versions of a profile make of the same frames. Its size
// is bounded. One goroutine uses it.
type Comparison struct {
	// Alarming says whether a reading is an alarm by more than being an alarm condition
	// that is true, for example by a limit of the rules. nil: by nothing else.
	Alarming func(grid.Reading) bool

	diff   Diff
	fields map[fieldKey]*FieldDiff
}

type fieldKey struct{ field, channel string }

// NewComparison begins a comparison of two versions; old is "" where there is none.
func NewComparison(id, old, new string) *Comparison {
	return &Comparison{diff: Diff{Profile: id, Old: old, New: new}, fields: map[fieldKey]*FieldDiff{}}
}

// Frames is how many frames were compared so far.
func (c *Comparison) Frames() int64 { return c.diff.Frames }

// LostAlarms is how many alarms only the old version said so far.
func (c *Comparison) LostAlarms() int64 { return c.diff.LostAlarms }

// Report is the comparison so far; it may be kept.
func (c *Comparison) Report() Diff {
	d := c.diff
	d.Fields = make([]FieldDiff, 0, len(c.fields))
	for _, k := range slices.SortedFunc(maps.Keys(c.fields), func(a, b fieldKey) int {
		return cmp.Or(cmp.Compare(a.field, b.field), cmp.Compare(a.channel, b.channel))
	}) {
		f := *c.fields[k]
		f.Examples = slices.Clone(f.Examples)
		d.Fields = append(d.Fields, f)
	}
	d.Alarms, d.Errors, d.Mends = slices.Clone(d.Alarms), slices.Clone(d.Errors), slices.Clone(d.Mends)
	return d
}

// Add compares what the versions make of one frame.
func (c *Comparison) Add(at Where, old, new Result) {
	d := &c.diff
	d.Frames++
	c.alarms(at, old, new)
	switch {
	case old.Err != nil && new.Err != nil:
		d.BothFail++
		return
	case new.Err != nil:
		d.NewErrors++
		d.Errors = keep(d.Errors, maxDiffExamples, at.example(allText(&old.Out), new.Err.Error()))
		return
	case old.Err != nil:
		d.Mended++
		d.Mends = keep(d.Mends, maxDiffExamples, at.example(old.Err.Error(), allText(&new.Out)))
		return
	}
	switch a, b := len(old.Out.Warnings), len(new.Out.Warnings); {
	case b > a:
		d.MoreWarnings++
	case b < a:
		d.LessWarnings++
	}
	differs := c.frame(at, &old.Out, &new.Out)
	if c.readings(at, old.Out.Readings, new.Out.Readings) {
		differs = true
	}
	if differs {
		d.Changed++
	} else {
		d.Same++
	}
}

func keep[T any](list []T, most int, one T) []T {
	if len(list) < most {
		list = append(list, one)
	}
	return list
}

func (at Where) example(old, new string) Example {
	return Example{Frame: at.Pos.String(), Device: at.Device, Received: at.Received, Old: truncate(old, 200), New: truncate(new, 200)}
}

// frame compares what the versions say of the frame as a whole. What neither ever says
// makes no field.
func (c *Comparison) frame(at Where, old, new *grid.Decoded) bool {
	differs := false
	part := func(name, a, b string) {
		if a != "" || b != "" {
			differs = c.note(at, fieldKey{field: name}, a, b) || differs
		}
	}
	part(sequenceField, sequenceText(old), sequenceText(new))
	part("time", timeText(old.DeviceTime), timeText(new.DeviceTime))
	part("restart", trueText(old.Restart), trueText(new.Restart))
	part("answer", trueText(old.Answer), trueText(new.Answer))
	return differs
}

func sequenceText(d *grid.Decoded) string {
	if !d.HasSequence {
		return ""
	}
	return strconv.FormatUint(uint64(d.Sequence), 10)
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func trueText(b bool) string {
	if b {
		return "true"
	}
	return ""
}

// readings compares readings of one signal and channel in the order in which they stand:
// a frame with records has several.
func (c *Comparison) readings(at Where, old, new []grid.Reading) bool {
	differs := false
	used := make([]bool, len(new))
	for i := range old {
		j := slices.IndexFunc(new, func(r grid.Reading) bool { return keyOf(&r) == keyOf(&old[i]) })
		for j >= 0 && j < len(new) && (used[j] || keyOf(&new[j]) != keyOf(&old[i])) {
			j++
		}
		if j < 0 || j == len(new) {
			c.note(at, keyOf(&old[i]), readingText(&old[i]), "")
			differs = true
			continue
		}
		used[j] = true
		a, b := readingText(&old[i]), readingText(&new[j])
		if sameReading(&old[i], &new[j]) {
			b = a
		}
		differs = c.note(at, keyOf(&old[i]), a, b) || differs
	}
	for j := range new {
		if !used[j] {
			c.note(at, keyOf(&new[j]), "", readingText(&new[j]))
			differs = true
		}
	}
	return differs
}

func keyOf(r *grid.Reading) fieldKey {
	k := fieldKey{field: r.Signal.String(), channel: r.Channel}
	if k.channel == grid.MainChannel {
		k.channel = ""
	}
	return k
}

// sameReading leaves out what two ways of computing one value differ in: the last bits.
func sameReading(a, b *grid.Reading) bool {
	near := a.Value == b.Value || math.Abs(a.Value-b.Value) <= 1e-9*math.Max(math.Abs(a.Value), math.Abs(b.Value))
	return near && a.At.Equal(b.At) && a.History == b.History && a.Suspect == b.Suspect
}

func readingText(r *grid.Reading) string {
	var b strings.Builder
	if grid.Signals[r.Signal].Bool {
		b.WriteString(strconv.FormatBool(r.Bool()))
	} else {
		b.WriteString(strconv.FormatFloat(r.Value, 'g', 10, 64))
	}
	if r.Suspect {
		b.WriteString(" suspect")
	}
	if r.History {
		b.WriteString(" history")
	}
	if !r.At.IsZero() {
		b.WriteString(" at " + timeText(r.At))
	}
	return b.String()
}

// allText is all that a version says of a frame.
func allText(d *grid.Decoded) string {
	if len(d.Readings) == 0 {
		return "no readings"
	}
	var parts []string
	for i := range d.Readings[:min(len(d.Readings), 10)] {
		parts = append(parts, d.Readings[i].Signal.String()+" "+readingText(&d.Readings[i]))
	}
	return strings.Join(parts, ", ")
}

// note counts one field of one frame; "" is not said. It reports whether the versions
// disagree.
func (c *Comparison) note(at Where, k fieldKey, old, new string) bool {
	f := c.fields[k]
	if f == nil && len(c.fields) >= maxDiffFields {
		k.channel = "*" // channels beyond the bound share one row
		f = c.fields[k]
	}
	if f == nil {
		f = &FieldDiff{Field: k.field, Channel: k.channel}
		c.fields[k] = f
	}
	switch {
	case old == new:
		f.Same++
		return false
	case old == "":
		f.Appeared++
	case new == "":
		f.Lost++
	default:
		f.Changed++
	}
	f.Examples = keep(f.Examples, fieldExamples, at.example(old, new))
	return true
}

// alarms counts the alarms that only one version says. An alarm of another channel is
// another alarm: it may be another place.
func (c *Comparison) alarms(at Where, old, new Result) {
	for i, r := range old.Out.Readings {
		if old.Err != nil || !c.isAlarm(r) || c.says(old.Out.Readings[:i], &r) {
			continue
		}
		if new.Err != nil || !c.says(new.Out.Readings, &r) {
			now := ""
			if new.Err != nil {
				now = new.Err.Error()
			} else if j := slices.IndexFunc(new.Out.Readings, func(n grid.Reading) bool { return keyOf(&n) == keyOf(&r) }); j >= 0 {
				now = readingText(&new.Out.Readings[j])
			}
			c.diff.LostAlarms++
			k := keyOf(&r)
			c.diff.Alarms = keep(c.diff.Alarms, maxDiffExamples, LostAlarm{k.field, k.channel, at.example(readingText(&r), now)})
		}
	}
	for i, r := range new.Out.Readings {
		if new.Err == nil && c.isAlarm(r) && !c.says(new.Out.Readings[:i], &r) && (old.Err != nil || !c.says(old.Out.Readings, &r)) {
			c.diff.NewAlarms++
		}
	}
}

// says reports whether one of the readings is the alarm that r is.
func (c *Comparison) says(all []grid.Reading, r *grid.Reading) bool {
	return slices.ContainsFunc(all, func(n grid.Reading) bool { return keyOf(&n) == keyOf(r) && c.isAlarm(n) })
}

func (c *Comparison) isAlarm(r grid.Reading) bool {
	return isAlarm(r) || c.Alarming != nil && c.Alarming(r)
}

// isAlarm reports whether a reading is an alarm condition that is true.
func isAlarm(r grid.Reading) bool {
	switch r.Signal {
	case grid.SmokeAlarm, grid.HeatAlarm, grid.ManholeOpen, grid.ManholeFlooded, grid.DoorOpen,
		grid.Tamper, grid.DeviceRemove, grid.Fault, grid.EndOfLife:
		return r.Bool()
	}
	return false
}

// LosesFire reports whether the old version says in a frame that there is a fire, and the
// new one does not say it of the same channel.
func LosesFire(old, new Result) bool {
	if old.Err != nil {
		return false
	}
	fires := func(r grid.Reading) bool {
		return r.Bool() && (r.Signal == grid.SmokeAlarm || r.Signal == grid.HeatAlarm)
	}
	for _, r := range old.Out.Readings {
		if fires(r) && (new.Err != nil || !slices.ContainsFunc(new.Out.Readings, func(n grid.Reading) bool {
			return fires(n) && keyOf(&n).channel == keyOf(&r).channel && (r.History || !n.History)
		})) {
			return true
		}
	}
	return false
}
