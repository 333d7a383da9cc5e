// Package scenario plays days of a city to a gateway from a file: what happens in its
// streets, what its people and units do, what breaks, and what must come of it. The
// verdict on a run is verdict.Result. docs/scenarios.md is for who writes such a file.
package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/verdict"
)

// Scenario is a file as it is written.
type Scenario struct {
	ID     string       `yaml:"-"` // the file's name without .yaml
	Name   verdict.Text `yaml:"name"`
	About  verdict.Text `yaml:"about"`
	Seed   uint64       `yaml:"seed"`
	Start  string       `yaml:"start"` // the city's date and time when it begins: 2026-11-24 18:20, or with a zone
	Speed  float64      `yaml:"speed"`
	Length Span         `yaml:"length"`
	Slow   bool         `yaml:"slow"` // too long for a test run
	Life   bool         `yaml:"life"` // the ordinary life of the city goes on beside the timeline

	City     []Part   `yaml:"city"`
	Units    []Unit   `yaml:"units"`
	Gateway  Gateway  `yaml:"gateway"`
	Timeline []Step   `yaml:"timeline"`
	Expect   []Expect `yaml:"expect"`

	start time.Time
}

// Part is some devices of one model with their points.
type Part struct {
	Name        string `yaml:"name"` // of its point; with count 2 or more they are name-1, name-2 …
	Model       string `yaml:"model"`
	Count       int    `yaml:"count"`
	Wire        string `yaml:"wire"`
	Envelope    string `yaml:"envelope"`
	Street      string `yaml:"street"` // 9 digits
	Compound    string `yaml:"compound"`
	Building    string `yaml:"building"`
	Floor       string `yaml:"floor"`
	Cell        string `yaml:"cell"` // 15 digits; points of one cell are told to the gateway as such
	Address     string `yaml:"address"`
	Rules       string `yaml:"rules"` // a set of rules, for example fire_lane
	Every       Span   `yaml:"every"` // between two reports, instead of the maker's
	Stranger    bool   `yaml:"stranger"`
	line        int
	PerBuilding int `yaml:"per_building"`
}

// Unit is a unit that is played.
type Unit struct {
	ID        string        `yaml:"id"`
	Kind      grid.UnitKind `yaml:"kind"`
	Name      verdict.Text  `yaml:"name"`
	Entry     string        `yaml:"entry"`     // of a fire unit: auto, confirmed_only, operator
	Connector string        `yaml:"connector"` // webhook, or inbox
	Face      string        `yaml:"face"`      // of its system: webhook, open311 or cap
	Street    string        `yaml:"street"`    // responsible for this street alone
	Behave    Behave        `yaml:"behave"`
	line      int
}

// Behave is how a unit's system and its people are.
type Behave struct {
	Channel string   `yaml:"channel"` // good, slow, deaf, flaky: its system
	Accept  *Span    `yaml:"accept"`  // from the message to "we are coming"; 20s
	Travel  *Span    `yaml:"travel"`  // on the way, whatever the distance; else by distance and kmh
	Kmh     *float64 `yaml:"kmh"`
	Work    *Span    `yaml:"work"`    // on site until it is put right; 2m
	Finding string   `yaml:"finding"` // honest (as it is), true, false, unable, none
	Lies    *bool    `yaml:"lies"`    // reports what was not done as done
	Fixes   *bool    `yaml:"fixes"`   // puts right what it finds; true
	Photo   *bool    `yaml:"photo"`   // as evidence; true
	Silent  *bool    `yaml:"silent"`  // its people do not answer at all
	Stops   string   `yaml:"stops"`   // after: accept, arrive: the rest does not come
	Guards  string   `yaml:"guards"`  // yes or no, to the question of their permit
}

// Gateway is what the scenario wants of the gateway under test.
type Gateway struct {
	Broker   string         `yaml:"broker"` // embedded, mosquitto
	Influx   string         `yaml:"influx"` // none, real
	Settings map[string]any `yaml:"settings"`
}

// Step is one line of the timeline: one thing that is done.
type Step struct {
	ID     string       `yaml:"id"`
	At     Span         `yaml:"at"`
	For    Span         `yaml:"for"`    // then it is undone
	Spread Span         `yaml:"spread"` // several points: evenly over this time
	Say    verdict.Text `yaml:"say"`

	Point    Names     `yaml:"point"`
	Set      *Change   `yaml:"set"`
	Device   string    `yaml:"device"` // dead, alive, startup, report, hold, release, swap, repeat
	Raw      *Raw      `yaml:"raw"`
	Skew     *Span     `yaml:"skew"`
	Radio    string    `yaml:"radio"` // dead, alive: the radio gateway over which the point is heard
	Operator *Act      `yaml:"operator"`
	Unit     *Turn     `yaml:"unit"`
	Fault    *FaultUse `yaml:"fault"`

	line int
}

// Change is what becomes different at a point; what is not said stays.
type Change struct {
	Open     *bool    `yaml:"open"`
	Occupied *bool    `yaml:"occupied"`
	Tilt     *float64 `yaml:"tilt"`
	Level    *int     `yaml:"level_mm"` // from the cover down to the water
	Smoke    *bool    `yaml:"smoke"`
	Heat     *bool    `yaml:"heat"`
	Fire     *bool    `yaml:"fire"` // truth: what people find who go there; smoke without fire is a false alarm
	Test     *bool    `yaml:"test"`
	Tamper   *bool    `yaml:"tamper"`
	Removed  *bool    `yaml:"removed"`
	Fault    *bool    `yaml:"fault"`
	Water    *bool    `yaml:"water"`
	Battery  *int     `yaml:"battery"`
	Celsius  *float64 `yaml:"celsius"`
	Stuck    *bool    `yaml:"stuck"` // truth: nobody who comes can put it right
	Normal   bool     `yaml:"normal"`
}

// Raw is bytes that a device sends, whatever they mean.
type Raw struct {
	Port int    `yaml:"port"`
	Hex  string `yaml:"hex"`
}

// Turn changes how a unit is from now on.
type Turn struct {
	ID     string `yaml:"id"`
	Behave `yaml:",inline"`
}

// FaultUse is a fault with what it wants to know.
type FaultUse struct {
	Name string         `yaml:"name"`
	With map[string]any `yaml:"with"`
}

// Act is what an operator does by the API.
type Act struct {
	Do       string         `yaml:"do"`
	Of       string         `yaml:"of"` // point/event type: its newest ticket or alarm
	By       string         `yaml:"by"`
	Role     grid.Role      `yaml:"role"`
	Second   string         `yaml:"second"` // of a forced close: who agrees
	Reason   string         `yaml:"reason"`
	Finding  string         `yaml:"finding"`
	Source   string         `yaml:"source"`
	OnSite   bool           `yaml:"on_site"`
	Evidence string         `yaml:"evidence"`
	Unit     string         `yaml:"unit"`
	Type     string         `yaml:"type"`
	Types    Names          `yaml:"types"`
	Points   Names          `yaml:"points"`
	Building string         `yaml:"building"`
	Place    string         `yaml:"place"`
	External string         `yaml:"external"`
	Holder   string         `yaml:"holder"`
	Session  string         `yaml:"session"`
	Patrol   string         `yaml:"patrol"`
	Lead     string         `yaml:"lead"`
	Lasts    Span           `yaml:"lasts"`
	Posture  string         `yaml:"posture"`
	Answer   string         `yaml:"answer"`
	Device   string         `yaml:"device"` // a point of the scenario: the device there
	With     string         `yaml:"with"`   // of a swap: the point (of a stranger) whose device comes
	Profile  string         `yaml:"profile"`
	Files    map[string]any `yaml:"files"`
	Share    int            `yaml:"share"`
	Stage    string         `yaml:"stage"` // of a roll-out: shadow, share, all
	Force    bool           `yaml:"force"` // in spite of lost alarms
	Method   string         `yaml:"method"`
	Path     string         `yaml:"path"`
	Body     map[string]any `yaml:"body"`
	Refused  bool           `yaml:"refused"` // the gateway must say no
	TaskKind string         `yaml:"task"`
}

// Names is one name or a list.
type Names []string

// UnmarshalYAML reads both forms.
func (n *Names) UnmarshalYAML(node ast.Node) error {
	var one string
	if _, ok := node.(*ast.SequenceNode); !ok {
		if err := yaml.NodeToValue(node, &one); err != nil {
			return err
		}
		*n = Names{one}
		return nil
	}
	var all []string
	if err := yaml.NodeToValue(node, &all); err != nil {
		return err
	}
	*n = all
	return nil
}

// Span is a time span of the city: 90s, 1h30m, 2d.
type Span time.Duration

// UnmarshalYAML reads a span.
func (s *Span) UnmarshalYAML(node ast.Node) error {
	var text string
	if err := yaml.NodeToValue(node, &text); err != nil {
		return at(node, "span: want a time such as 90s, 1h30m or 2d")
	}
	d, err := parseSpan(text)
	if err != nil {
		return at(node, "%v", err)
	}
	*s = Span(d)
	return nil
}

func parseSpan(text string) (time.Duration, error) {
	var days time.Duration
	rest := text
	if n, after, ok := strings.Cut(text, "d"); ok {
		if _, err := fmt.Sscanf(n, "%d", &days); err != nil {
			return 0, fmt.Errorf("span is %q: want a time such as 90s, 1h30m or 2d", text)
		}
		if rest = after; rest == "" {
			rest = "0s"
		}
	}
	d, err := time.ParseDuration(rest)
	if rest == "0" {
		d, err = 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("span is %q: want a time such as 90s, 1h30m or 2d", text)
	}
	return days*24*time.Hour + d, nil
}

func (s Span) of() time.Duration { return time.Duration(s) }

func (s Span) String() string {
	t := time.Duration(s).String()
	if strings.HasSuffix(t, "m0s") {
		t = t[:len(t)-2]
	}
	if strings.HasSuffix(t, "h0m") {
		t = t[:len(t)-2]
	}
	return t
}

// at is an error with the line it is about.
func at(node ast.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", lineOf(node), fmt.Sprintf(format, args...))
}

func lineOf(node ast.Node) int {
	if node == nil || node.GetToken() == nil {
		return 0
	}
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return lineOf(m.Values[0])
	}
	if m, ok := node.(*ast.MappingValueNode); ok {
		return lineOf(m.Key)
	}
	return node.GetToken().Position.Line
}

// UnmarshalYAML keeps the line of each item that may be wrong in itself.
func (s *Step) UnmarshalYAML(node ast.Node) error {
	type plain Step
	err := yaml.NodeToValue(node, (*plain)(s), yaml.Strict())
	s.line = lineOf(node)
	return err
}

// UnmarshalYAML keeps the line.
func (p *Part) UnmarshalYAML(node ast.Node) error {
	type plain Part
	err := yaml.NodeToValue(node, (*plain)(p), yaml.Strict())
	p.line = lineOf(node)
	return err
}

// UnmarshalYAML keeps the line.
func (u *Unit) UnmarshalYAML(node ast.Node) error {
	type plain Unit
	err := yaml.NodeToValue(node, (*plain)(u), yaml.Strict())
	u.line = lineOf(node)
	return err
}

// Parse reads a scenario; name is its file's. What is wrong is told with its line.
func Parse(name string, data []byte) (*Scenario, error) {
	s := &Scenario{ID: idOf(name)}
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	if err := dec.Decode(s); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, grid.Errorf(grid.Invalid, "%s: empty: want a scenario", name)
		}
		return nil, grid.Errorf(grid.Invalid, "%s: %s", name, strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	if err := s.check(); err != nil {
		return nil, grid.Errorf(grid.Invalid, "%s: %w", name, err)
	}
	return s, nil
}

func idOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, ".yaml"), ".yml")
}

// shanghai is the city's zone; there is no summer time.
func shanghai() *time.Location { return time.FixedZone("+08:00", 8*3600) }

func (s *Scenario) check() error {
	var err error
	if s.start, err = time.ParseInLocation("2006-01-02 15:04", s.Start, shanghai()); err != nil {
		if s.start, err = time.Parse(time.RFC3339, s.Start); err != nil {
			return fmt.Errorf("start is %q: want the city's date and time, for example 2026-11-24 18:20", s.Start)
		}
	}
	switch {
	case s.Name.ZH == "" || s.Name.EN == "":
		return errors.New("name: want zh and en")
	case s.About.ZH == "" || s.About.EN == "":
		return errors.New("about: want zh and en")
	case s.Length <= 0:
		return errors.New("length: want how long it lasts, for example 40m")
	case s.Speed < 0 || s.Speed > 3600:
		return fmt.Errorf("speed is %g: want 1 to 3600", s.Speed)
	case len(s.City) == 0:
		return errors.New("city: want some devices")
	case len(s.Expect) == 0:
		return errors.New("expect: want what must come of it")
	}
	if s.Speed == 0 {
		s.Speed = 1
	}
	if s.Seed == 0 {
		s.Seed = 1
	}
	if err := s.checkCity(); err != nil {
		return err
	}
	for i := range s.Timeline {
		if err := s.checkStep(&s.Timeline[i]); err != nil {
			return fmt.Errorf("line %d: %w", s.Timeline[i].line, err)
		}
	}
	seen := map[string]bool{}
	for i := range s.Expect {
		e := &s.Expect[i]
		if seen[e.ID] {
			return fmt.Errorf("line %d: id is %q: want one that no other expectation has", e.line, e.ID)
		}
		seen[e.ID] = true
		if err := s.checkExpect(e); err != nil {
			return fmt.Errorf("line %d: %w", e.line, err)
		}
	}
	return s.checkGateway()
}

func (s *Scenario) checkGateway() error {
	g := &s.Gateway
	switch g.Broker {
	case "":
		g.Broker = "embedded"
	case "embedded", "mosquitto":
	default:
		return fmt.Errorf("gateway.broker is %q: want embedded or mosquitto", g.Broker)
	}
	switch g.Influx {
	case "":
		g.Influx = "none"
	case "none", "real":
	default:
		return fmt.Errorf("gateway.influx is %q: want none or real", g.Influx)
	}
	return nil
}

func (s *Scenario) checkCity() error {
	names := map[string]bool{}
	for i := range s.City {
		p := &s.City[i]
		if p.Name == "" || names[p.Name] {
			return fmt.Errorf("line %d: name is %q: want one that no other part has", p.line, p.Name)
		}
		names[p.Name] = true
		if p.Count == 0 {
			p.Count = 1
		}
		if _, err := simulator.ModelOf(p.Model); err != nil {
			return fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	units := map[string]bool{}
	for _, u := range s.Units {
		if u.ID == "" || units[u.ID] {
			return fmt.Errorf("line %d: id is %q: want one that no other unit has", u.line, u.ID)
		}
		units[u.ID] = true
		if u.Face != "" && (!oneOf(u.Face, "webhook open311 cap") || u.Connector != "") {
			return fmt.Errorf("line %d: face is %q: want webhook, open311 or cap, and no connector beside it", u.line, u.Face)
		}
		if err := u.Behave.check(); err != nil {
			return fmt.Errorf("line %d: %w", u.line, err)
		}
	}
	return nil
}

func (b *Behave) check() error {
	for _, x := range []struct{ key, got, want string }{
		{"channel", b.Channel, "good slow deaf flaky"}, {"finding", b.Finding, "honest true false unable none"}, {"stops", b.Stops, "accept arrive"},
	} {
		if x.got != "" && !oneOf(x.got, x.want) {
			return fmt.Errorf("%s is %q: want one of %s", x.key, x.got, x.want)
		}
	}
	return nil
}

func oneOf(s, list string) bool {
	for _, w := range strings.Fields(list) {
		if s == w {
			return true
		}
	}
	return false
}

// names are the points that a name of the file stands for: one, or all of a part.
func (s *Scenario) names(n string) ([]string, error) {
	for _, p := range s.City {
		switch {
		case p.Name == n && p.Count == 1:
			return []string{n}, nil
		case p.Name == n:
			var all []string
			for i := range p.Count {
				all = append(all, fmt.Sprintf("%s-%d", n, i+1))
			}
			return all, nil
		case p.Count > 1 && strings.HasPrefix(n, p.Name+"-"):
			var k int
			if _, err := fmt.Sscanf(n[len(p.Name)+1:], "%d", &k); err == nil && k >= 1 && k <= p.Count && n == fmt.Sprintf("%s-%d", p.Name, k) {
				return []string{n}, nil
			}
		}
	}
	// name-2..5 is a part of a part.
	if base, span, ok := cutRange(n); ok {
		var all []string
		for k := span[0]; k <= span[1]; k++ {
			one, err := s.names(fmt.Sprintf("%s-%d", base, k))
			if err != nil {
				return nil, err
			}
			all = append(all, one...)
		}
		return all, nil
	}
	return nil, fmt.Errorf("point is %q: want one of the city", n)
}

func cutRange(n string) (base string, span [2]int, ok bool) {
	i := strings.LastIndexByte(n, '-')
	if i < 0 {
		return "", span, false
	}
	_, err := fmt.Sscanf(n[i+1:], "%d..%d", &span[0], &span[1])
	return n[:i], span, err == nil && span[0] <= span[1] && span[1]-span[0] < 100_000
}

func (s *Scenario) allNames(list Names) ([]string, error) {
	var all []string
	for _, n := range list {
		some, err := s.names(n)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// acts says what each act of an operator wants to know.
var acts = map[string]string{
	"ack": "of", "comment": "of reason", "take": "of", "verify": "of finding", "confirm": "of evidence", "assign": "of unit", "cancel": "of reason",
	"force_close": "of reason second", "done": "of", "resolve": "of reason", "file": "type external", "window": "points lasts", "maintenance": "points lasts", "out_of_service": "points lasts reason patrol",
	"shelve": "points types lasts reason", "permit": "points holder lasts", "exercise": "building lead lasts types points", "answer": "of answer", "posture": "posture",
	"claim": "device", "swap": "device with", "bar": "device", "rollout": "profile", "rollback": "profile reason", "call": "path",
}

func (s *Scenario) checkStep(t *Step) error {
	verbs := 0
	for _, on := range []bool{t.Set != nil, t.Device != "", t.Raw != nil, t.Skew != nil, t.Radio != "", t.Operator != nil, t.Unit != nil, t.Fault != nil} {
		if on {
			verbs++
		}
	}
	if verbs != 1 {
		return fmt.Errorf("step has %d acts: want one of set, device, raw, skew, radio, operator, unit, fault", verbs)
	}
	if t.At.of() > s.Length.of() {
		return fmt.Errorf("at is %s: want it within length, %s", t.At, s.Length)
	}
	world := t.Set != nil || t.Device != "" || t.Raw != nil || t.Skew != nil || t.Radio != ""
	if world != (len(t.Point) > 0) {
		return errors.New("point: want it with set, device, raw, skew and radio, and with nothing else")
	}
	if _, err := s.allNames(t.Point); err != nil {
		return err
	}
	switch {
	case t.Device != "" && !oneOf(t.Device, "dead alive startup report hold release swap repeat"):
		return fmt.Errorf("device is %q: want dead, alive, startup, report, hold, release, swap or repeat", t.Device)
	case t.Radio != "" && !oneOf(t.Radio, "dead alive"):
		return fmt.Errorf("radio is %q: want dead or alive", t.Radio)
	case t.Operator != nil:
		return s.checkAct(t.Operator)
	case t.Unit != nil:
		return s.checkTurn(t.Unit)
	case t.Fault != nil && t.Fault.Name == "":
		return errors.New("fault: want a name, for example gateway.kill")
	case t.Fault != nil:
		return checkFault(t.Fault)
	}
	return nil
}

func (s *Scenario) checkTurn(t *Turn) error {
	for _, u := range s.Units {
		if u.ID == t.ID {
			return t.Behave.check()
		}
	}
	return fmt.Errorf("unit.id is %q: want one of units", t.ID)
}

func (s *Scenario) checkAct(a *Act) error {
	wants, ok := acts[a.Do]
	if !ok {
		return fmt.Errorf("operator.do is %q: want one of %s", a.Do, strings.Join(sortedKeys(acts), ", "))
	}
	has := map[string]bool{"of": a.Of != "", "reason": a.Reason != "", "finding": a.Finding != "", "evidence": a.Evidence != "", "unit": a.Unit != "",
		"second": a.Second != "", "type": a.Type != "", "external": a.External != "", "points": len(a.Points) > 0, "lasts": a.Lasts > 0, "patrol": a.Patrol != "",
		"types": len(a.Types) > 0, "holder": a.Holder != "", "building": a.Building != "", "lead": a.Lead != "", "answer": a.Answer != "", "posture": a.Posture != "",
		"device": a.Device != "", "with": a.With != "", "profile": a.Profile != "", "files": len(a.Files) > 0, "path": a.Path != ""}
	for _, w := range strings.Fields(wants) {
		if !has[w] {
			return fmt.Errorf("operator.%s: missing: do: %s wants %s", w, a.Do, wants)
		}
	}
	if a.Of != "" {
		if _, _, err := s.reference(a.Of); err != nil {
			return err
		}
	}
	_, err := s.allNames(a.Points)
	return err
}

// reference reads "kitchen/smoke.alarm".
func (s *Scenario) reference(of string) (point, typ string, err error) {
	point, typ, ok := strings.Cut(of, "/")
	if !ok || typ == "" {
		return "", "", fmt.Errorf("of is %q: want point/event type, for example kitchen/smoke.alarm", of)
	}
	if strings.HasPrefix(point, "filed:") {
		return point, typ, nil
	}
	all, err := s.names(point)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("of is %q: want a single point", of)
	}
	return point, typ, err
}
