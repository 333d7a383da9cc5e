package profile

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"gridgate/internal/grid"
)

// maxPayload bounds what a profile looks at; no device of our kinds sends more.
const maxPayload = 64 << 10

// Bounds of what one frame may cost, however a profile is written.
const (
	maxSteps    = 50_000 // items read and rules asked
	maxReadings = 2_048
)

// maxWarnings bounds what one frame can say about itself.
const maxWarnings = 8

// CounterSpec says where a device's frame counter is and how many bits it has before it
// wraps. With Source "payload" and "network" Decode fills Sequence.
type CounterSpec struct {
	Source string `json:"source"` // "network", "payload", "none"
	Bits   int    `json:"bits,omitempty"`
}

// Profile is a compiled firmware profile. It is safe for concurrent use.
type Profile struct {
	ID       string        // "<vendor>/<model>", lower case
	Vendor   string        // as people write it
	Model    string        //
	Version  string        // of the profile
	Firmware string        // which firmware it holds for, in words
	Range    Firmware      // and as versions
	Extends  string        // the profile it changes, if any
	Source   string        // where the layout comes from, in words
	Codec    string        // one of codecKinds
	Kinds    []grid.Kind   // what points it serves
	Interval time.Duration // a healthy device reports at least this often
	Counter  CounterSpec   //
	Signals  []grid.Signal // what it can give
	Ports    []int         // where its reports come; none: anywhere

	file  string // where it was read from
	tag   string // "<id>@<version>", on everything it decodes
	codec codec
	rules []rule
	cost  int // steps that asking the rules once takes

	channelFields map[string]*field // that channels of records are named after
	slots         int
	clock         *clock
	sequence      *sequence
	restart       *test
	history       *test
	identify      identity
	runs          sync.Pool // *run
	own           *workers  // of a profile that belongs to no Set
}

// Close ends what a profile of Parse runs. Those of a Set end with the Set.
func (p *Profile) Close() {
	if p.own != nil {
		p.own.close()
	}
}

// MarshalJSON gives the shape of `gridgate profile list --json`.
func (p *Profile) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID       string        `json:"id"`
		Vendor   string        `json:"vendor"`
		Model    string        `json:"model"`
		Version  string        `json:"version"`
		Firmware string        `json:"firmware,omitempty"`
		Range    Firmware      `json:"firmware_range,omitzero"`
		Extends  string        `json:"extends,omitempty"`
		Kinds    []grid.Kind   `json:"kinds"`
		Codec    string        `json:"codec"`
		Interval string        `json:"interval"`
		Counter  CounterSpec   `json:"counter"`
		Signals  []grid.Signal `json:"signals"`
		Ports    []int         `json:"ports,omitempty"`
		Source   string        `json:"source"`
	}{p.ID, p.Vendor, p.Model, p.Version, p.Firmware, p.Range, p.Extends, p.Kinds, p.Codec, p.Interval.String(), p.Counter, p.Signals, p.Ports, p.Source})
}

// IsSmoke reports whether the profile serves smoke points.
func (p *Profile) IsSmoke() bool { return slices.Contains(p.Kinds, grid.Smoke) }

// codec is one way to fill the fields of a frame.
type codec interface {
	// decode reads f.Payload, which is not empty; f is neither kept nor changed.
	decode(r *run, f *grid.Frame) error
}

// run is the working memory of one Decode; it is pooled.
type run struct {
	p        *Profile
	frame    grid.Frame // here, so that it needs no allocation of its own
	steps    int        // taken so far
	evidence int        // bits that were as they had to be
	top, rec scope
	readings []grid.Reading
	past     bool           // the frame's own readings are of the past
	at       time.Time      // when the frame's own readings were taken, where its format says so
	over     bool           // it says more than a frame may
	restart  bool           //
	answer   bool           // the frame holds answers to downlinks
	report   bool           // the frame holds something else than answers
	hidden   error          // a field that a fire hangs on could not be read
	warnings []string       // escapes with the result
	env      map[string]any // of expressions

	labels     map[string]string // escapes with the result; nil: none
	contentKey uint32            // 0: none
}

func (r *run) warn(format string, args ...any) {
	if len(r.warnings) < maxWarnings {
		r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
	}
}

// step counts n items or rules; a profile that reads the same bytes over and over ends here.
func (r *run) step(n int) error {
	if r.steps += n; r.steps > maxSteps {
		return fmt.Errorf("the frame takes more than %d steps to read", maxSteps)
	}
	return nil
}

func (p *Profile) newRun() *run {
	if r, ok := p.runs.Get().(*run); ok {
		return r
	}
	return &run{p: p, top: newScope(p.slots), rec: newScope(p.slots), env: map[string]any{}}
}

func (p *Profile) release(r *run) {
	r.top.clear()
	r.frame, r.steps, r.evidence, r.at = grid.Frame{}, 0, 0, time.Time{}
	r.readings, r.hidden = r.readings[:0], nil
	r.past, r.over, r.restart, r.answer, r.report, r.warnings = false, false, false, false, false, nil
	r.labels, r.contentKey = nil, 0
	p.runs.Put(r)
}

var _ grid.Decoder = (*Profile)(nil)

// Decode turns the payload of a frame into readings. Its errors are permanent and name
// the profile, the field and the bytes. What the frame does not say is absent from the
// result; readings are finite; the frame is neither kept nor changed. Readings whose At
// is zero are as old as the frame.
func (p *Profile) Decode(f grid.Frame) (grid.Decoded, error) {
	d, _, err := p.trial(f)
	return d, err
}

// trial is Decode that also says how many bits of the frame were as they had to be: how
// unlikely it is that a frame of another device decodes so.
func (p *Profile) trial(f grid.Frame) (d grid.Decoded, evidence int, err error) {
	r := p.newRun()
	defer p.release(r)
	r.frame = f
	if err := p.decode(r, &r.frame); err != nil {
		return grid.Decoded{}, 0, grid.Errorf(grid.Invalid, "profile %s: %w", p.ID, err)
	}
	d = grid.Decoded{Profile: p.tag, Restart: r.restart, Answer: r.answer && !r.report, Labels: r.labels, ContentKey: r.contentKey}
	if len(r.readings) > 0 {
		d.Readings = slices.Clone(r.readings)
	}
	switch {
	case p.sequence != nil:
		d.Sequence, d.HasSequence = p.sequence.read(r)
	case p.Counter.Source == "network":
		d.Sequence, d.HasSequence = f.Counter, f.HasCounter
	}
	d.Warnings = r.warnings
	if p.clock != nil {
		d.DeviceTime = p.clock.read(r, &r.top, 0)
	}
	return d, r.evidence, nil
}

func (p *Profile) decode(r *run, f *grid.Frame) error {
	switch n := len(f.Payload); {
	case n == 0:
		return fmt.Errorf("the payload is empty")
	case n > maxPayload:
		return fmt.Errorf("the payload has %d bytes: want at most %d", n, maxPayload)
	}
	if err := p.codec.decode(r, f); err != nil {
		return err
	}
	if p.restart != nil && p.restart.ask(&r.top) {
		r.restart = true
	}
	if p.history != nil && p.history.ask(&r.top) {
		r.past = true
	}
	if r.answer && !r.report && !r.over {
		return nil
	}
	r.emit(&r.top, &record{history: r.past, at: r.at}, 0)
	if r.over {
		return fmt.Errorf("the frame gives more than %d readings, or takes more than %d steps to read", maxReadings, maxSteps)
	}
	if err := r.unhide(); err != nil {
		return err
	}
	if len(r.readings) == 0 && len(r.warnings) > 0 && !r.restart {
		return fmt.Errorf("nothing could be read: %s", r.warnings[0])
	}
	return nil
}

// sequence reads the device's own counter.
type sequence struct {
	slot int
	name string
	bits int
}

func (q *sequence) read(r *run) (uint32, bool) {
	if !r.top.has[q.slot] {
		return 0, false
	}
	v := r.top.val[q.slot]
	if v < 0 || v > float64(uint64(1)<<q.bits-1) || v != float64(uint32(v)) {
		r.warn("field %q: %v is no counter of %d bits", q.name, v, q.bits)
		return 0, false
	}
	return uint32(v), true
}
