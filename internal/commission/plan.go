package commission

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
)

// What can show a step.
const (
	CheckFrame    = "frame"
	CheckSignal   = "signal"
	CheckBattery  = "battery"
	CheckRest     = "rest"
	CheckOn       = "on"
	CheckOff      = "off"
	CheckMoment   = "moment"
	CheckPerson   = "person"
	CheckPosition = "position"
	CheckPhoto    = "photo"
)

var checks = []string{CheckFrame, CheckSignal, CheckBattery, CheckRest, CheckOn, CheckOff, CheckMoment, CheckPerson, CheckPosition, CheckPhoto}

// Who shows a step.
const (
	ByDevice = "device"
	ByPerson = "person"
	ByPhoto  = "photo"
)

// Step is one step of a plan.
type Step struct {
	ID    string
	Check string
	Must  bool
	Title grid.Text
	Say   grid.Text
	Any   []Test
}

// Needs names who shows the step.
func (s *Step) Needs() string {
	switch s.Check {
	case CheckRest, CheckPerson, CheckPosition:
		return ByPerson
	case CheckPhoto:
		return ByPhoto
	}
	return ByDevice
}

// Test is asked of readings of one signal.
type Test struct {
	Signal grid.Signal `yaml:"signal"`
	Is     *bool       `yaml:"is"`
	Above  *float64    `yaml:"above"`
	Below  *float64    `yaml:"below"`
}

func (t *Test) ask(v float64) bool {
	switch {
	case t.Is != nil:
		return (v != 0) == *t.Is
	case t.Above != nil:
		return v > *t.Above
	}
	return v < *t.Below
}

// Limits are what is enough of a radio signal. Optional: where the network does not say it,
// the step is not asked for.
type Limits struct {
	RSSIdBm  *float64 `yaml:"rssi_dbm" json:"rssi_dbm,omitempty"`
	SNRdB    *float64 `yaml:"snr_db" json:"snr_db,omitempty"`
	Optional bool     `yaml:"optional" json:"optional,omitempty"`
}

// Link is a way by which devices are heard, and how quick it is.
type Link struct {
	Name     string
	Title    grid.Text
	First    time.Duration // from switching on to the first frame
	Act      time.Duration // from a hand at the device to the frame that tells of it
	Settle   time.Duration // nothing may change for so long after "it is at rest"
	Polled   bool
	Downlink string
	Signal   *Limits // nil: no radio
	match    []match
}

type match struct {
	Envelope  string `yaml:"envelope"`
	Transport string `yaml:"transport"`
	Identity  string `yaml:"identity"`
}

// Plans are the steps of all kinds. They do not change after Parse.
type Plans struct {
	Pending     time.Duration // from the verdict until a technician is sent
	SmokeWindow time.Duration
	OtherWindow time.Duration
	Battery     float64
	DistanceM   float64
	AccuracyM   float64
	Links       []*Link
	kinds       map[grid.Kind][]Step
}

// Steps are the steps of a kind, in their order.
func (p *Plans) Steps(k grid.Kind) []Step { return p.kinds[k] }

// Kinds are the kinds that there is a plan for, in the order of the design.
func (p *Plans) Kinds() (out []grid.Kind) {
	for _, k := range []grid.Kind{grid.Door, grid.Parking, grid.Manhole, grid.Smoke} {
		if len(p.kinds[k]) > 0 {
			out = append(out, k)
		}
	}
	return out
}

// Window is how long the window of a visit lasts.
func (p *Plans) Window(k grid.Kind) time.Duration {
	if k == grid.Smoke {
		return p.SmokeWindow
	}
	return p.OtherWindow
}

// LinkOf finds by what a device is heard. Without an envelope and transport, before its
// first frame, its identity gives a guess.
func (p *Plans) LinkOf(id grid.Identity, envelope, transport string) *Link {
	scheme, _, _ := strings.Cut(string(id), ":")
	heard := envelope != "" || transport != ""
	for _, l := range p.Links {
		for _, m := range l.match {
			guess := m.Envelope == "" && m.Transport == "" && m.Identity != ""
			if guess && heard {
				continue
			}
			if (m.Envelope == "" || m.Envelope == envelope) && (m.Transport == "" || m.Transport == transport) && (m.Identity == "" || m.Identity == scheme) {
				return l
			}
		}
	}
	return p.Links[len(p.Links)-1]
}

// Link finds a link by its name; the last one where it is not there any more.
func (p *Plans) Link(name string) *Link {
	for _, l := range p.Links {
		if l.Name == name {
			return l
		}
	}
	return p.Links[len(p.Links)-1]
}

// Wait is how long a step may take by a link, of a device that reports in an interval.
func (l *Link) Wait(s *Step, interval time.Duration) time.Duration {
	switch s.Check {
	case CheckFrame:
		if l.Polled {
			return max(l.First, interval)
		}
		return l.First
	case CheckBattery:
		return max(l.Act, interval)
	case CheckRest:
		return l.settle(interval)
	case CheckSignal, CheckOn, CheckOff, CheckMoment:
		return l.act(interval)
	}
	return 0
}

func (l *Link) act(interval time.Duration) time.Duration {
	if l.Polled {
		return l.Act + interval
	}
	return l.Act
}

func (l *Link) settle(interval time.Duration) time.Duration {
	if l.Polled {
		return l.Settle + interval
	}
	return l.Settle
}

// The file as it is written.
type fileYAML struct {
	Pending time.Duration `yaml:"pending"`
	Window  struct {
		Smoke time.Duration `yaml:"smoke"`
		Other time.Duration `yaml:"other"`
	} `yaml:"window"`
	Battery  float64 `yaml:"battery"`
	Position struct {
		DistanceM float64 `yaml:"distance_m"`
		AccuracyM float64 `yaml:"accuracy_m"`
	} `yaml:"position"`
	Links  []linkYAML               `yaml:"links"`
	Shared map[string]stepYAML      `yaml:"shared"`
	Kinds  map[grid.Kind][]stepYAML `yaml:"kinds"`
}

type linkYAML struct {
	Name     string        `yaml:"name"`
	ZH       string        `yaml:"zh"`
	EN       string        `yaml:"en"`
	Match    []match       `yaml:"match"`
	First    time.Duration `yaml:"first"`
	Act      time.Duration `yaml:"act"`
	Settle   time.Duration `yaml:"settle"`
	Polled   bool          `yaml:"polled"`
	Downlink string        `yaml:"downlink"`
	Signal   *Limits       `yaml:"signal"`
}

type stepYAML struct {
	Use   string `yaml:"use"`
	ID    string `yaml:"id"`
	Check string `yaml:"check"`
	Must  bool   `yaml:"must"`
	ZH    string `yaml:"zh"`
	EN    string `yaml:"en"`
	SayZH string `yaml:"say_zh"`
	SayEN string `yaml:"say_en"`
	Any   []Test `yaml:"any"`
}

// Parse reads a file of plans. name stands in errors, which name the key and the wish.
// Unknown keys are errors.
func Parse(name string, data []byte) (*Plans, error) {
	var f fileYAML
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, yaml.FormatError(err, false, false))
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, grid.Errorf(grid.Invalid, "%s: a second document: want one", name)
	}
	p, err := f.plans()
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	return p, nil
}

const (
	maxPending = 14 * 24 * time.Hour
	maxWait    = time.Hour
)

func (f *fileYAML) plans() (*Plans, error) {
	p := &Plans{
		Pending: f.Pending, SmokeWindow: f.Window.Smoke, OtherWindow: f.Window.Other, Battery: f.Battery,
		DistanceM: f.Position.DistanceM, AccuracyM: f.Position.AccuracyM, kinds: map[grid.Kind][]Step{},
	}
	switch {
	case p.Pending <= 0 || p.Pending > maxPending:
		return nil, fmt.Errorf("pending is %s: want more than 0s, at most %s", p.Pending, maxPending)
	case p.SmokeWindow <= 0 || p.SmokeWindow > alarm.MaxSmokeWindow:
		return nil, fmt.Errorf("window.smoke is %s: want more than 0s, at most %s", p.SmokeWindow, alarm.MaxSmokeWindow)
	case p.OtherWindow <= 0 || p.OtherWindow > alarm.MaxWork:
		return nil, fmt.Errorf("window.other is %s: want more than 0s, at most %s", p.OtherWindow, alarm.MaxWork)
	case p.Battery < 0 || p.Battery > 100:
		return nil, fmt.Errorf("battery is %g: want percent, 0 to 100", p.Battery)
	case p.DistanceM <= 0 || p.AccuracyM < 0:
		return nil, fmt.Errorf("position is {distance_m: %g, accuracy_m: %g}: want metres", p.DistanceM, p.AccuracyM)
	case len(f.Links) == 0:
		return nil, errors.New("links is empty: want at least one, the last for whatever else there is")
	}
	for i := range f.Links {
		l, err := f.Links[i].link()
		if err != nil {
			return nil, fmt.Errorf("links[%d]%w", i, err)
		}
		if slices.ContainsFunc(p.Links, func(o *Link) bool { return o.Name == l.Name }) {
			return nil, fmt.Errorf("links[%d].name %q: is there twice", i, l.Name)
		}
		p.Links = append(p.Links, l)
	}
	for _, k := range slices.Sorted(maps.Keys(f.Kinds)) {
		if _, err := grid.ParseKind(string(k)); err != nil {
			return nil, fmt.Errorf("kinds: %w", err)
		}
		steps, err := f.steps(f.Kinds[k])
		if err != nil {
			return nil, fmt.Errorf("kinds.%s%w", k, err)
		}
		p.kinds[k] = steps
	}
	if len(p.kinds) == 0 {
		return nil, errors.New("kinds is empty: want at least one")
	}
	return p, nil
}

var wordForm = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func (y *linkYAML) link() (*Link, error) {
	l := &Link{
		Name: y.Name, Title: grid.Text{ZH: y.ZH, EN: y.EN}, First: y.First, Act: y.Act, Settle: y.Settle, Polled: y.Polled,
		Downlink: y.Downlink, Signal: y.Signal, match: y.Match,
	}
	switch {
	case !wordForm.MatchString(y.Name):
		return nil, fmt.Errorf(".name is %q: want small letters, digits and _", y.Name)
	case y.ZH == "" || y.EN == "":
		return nil, errors.New(".zh or en is missing: want both")
	case len(y.Match) == 0:
		return nil, errors.New(".match is empty: want alternatives, {} for any")
	case y.First <= 0 || y.Act <= 0 || y.Settle <= 0 || y.First > maxWait || y.Act > maxWait || y.Settle > maxWait:
		return nil, fmt.Errorf(".first, act and settle are %s, %s and %s: want each more than 0s, at most %s", y.First, y.Act, y.Settle, maxWait)
	case !slices.Contains([]string{"at_once", "after_uplink", "never"}, y.Downlink):
		return nil, fmt.Errorf(".downlink is %q: want at_once, after_uplink or never", y.Downlink)
	case y.Signal != nil && y.Signal.RSSIdBm == nil && y.Signal.SNRdB == nil:
		return nil, errors.New(".signal is empty: want rssi_dbm, snr_db or both, or no signal at all")
	}
	return l, nil
}

func (f *fileYAML) steps(list []stepYAML) ([]Step, error) {
	var out []Step
	for i := range list {
		s, err := f.step(&list[i])
		if err != nil {
			return nil, fmt.Errorf("[%d]%w", i, err)
		}
		if slices.ContainsFunc(out, func(o Step) bool { return o.ID == s.ID }) {
			return nil, fmt.Errorf("[%d].id %q: is there twice", i, s.ID)
		}
		out = append(out, s)
	}
	return out, checkOrder(out)
}

func (f *fileYAML) step(y *stepYAML) (Step, error) {
	from := *y
	if y.Use != "" {
		shared, ok := f.Shared[y.Use]
		if !ok {
			return Step{}, fmt.Errorf(".use is %q: want one of shared", y.Use)
		}
		from = shared
		from.ID, from.Must = y.ID, y.Must
	}
	s := Step{ID: from.ID, Check: from.Check, Must: from.Must, Title: grid.Text{ZH: from.ZH, EN: from.EN}, Say: grid.Text{ZH: from.SayZH, EN: from.SayEN}, Any: from.Any}
	tested := s.Check == CheckOn || s.Check == CheckOff || s.Check == CheckMoment
	switch {
	case !wordForm.MatchString(s.ID):
		return s, fmt.Errorf(".id is %q: want small letters, digits and _", s.ID)
	case !slices.Contains(checks, s.Check):
		return s, fmt.Errorf(".check is %q: want one of %s", s.Check, strings.Join(checks, ", "))
	case s.Title.ZH == "" || s.Title.EN == "":
		return s, errors.New(".zh or en is missing: want both")
	case (s.Say.ZH == "") != (s.Say.EN == ""):
		return s, errors.New(".say_zh or say_en is missing: want both, or none")
	case tested != (len(s.Any) > 0):
		return s, fmt.Errorf(".any has %d tests: want some for on, off and moment, none for others", len(s.Any))
	}
	for i := range s.Any {
		t, n := &s.Any[i], 0
		for _, set := range []bool{t.Is != nil, t.Above != nil, t.Below != nil} {
			if set {
				n++
			}
		}
		if n != 1 || t.Signal == grid.NoSignal || grid.Signals[t.Signal].Bool != (t.Is != nil) {
			return s, fmt.Errorf(".any[%d]: want {signal, is: true|false} for a condition, {signal, above|below} for a number", i)
		}
	}
	return s, nil
}

// checkOrder holds the rest and the two edges together: on alone does not tell a right
// contact from a wrong one.
func checkOrder(steps []Step) error {
	var order []string
	for i := range steps {
		if c := steps[i].Check; c == CheckRest || c == CheckOn || c == CheckOff {
			order = append(order, c)
			if c != CheckRest && !steps[i].Must {
				return fmt.Errorf("[%d].must is missing: an edge that nobody has to show shows nothing", i)
			}
		}
	}
	if len(order) > 0 && !slices.Equal(order, []string{CheckRest, CheckOn, CheckOff}) {
		return fmt.Errorf(": edges are %s: want rest, on and off, each once and in this order", strings.Join(order, ", "))
	}
	if !slices.ContainsFunc(steps, func(s Step) bool { return s.Must && s.Needs() == ByDevice }) {
		return errors.New(": no step has to be shown by the device: then a word alone would pass it")
	}
	return nil
}
