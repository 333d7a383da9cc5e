package profile

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gridgate/internal/grid"
)

// vectorSpec says how published vectors of a model are compared: makers name their fields
// as they like, so the values are compared under our mapping.
type vectorSpec struct {
	Models []string                   `yaml:"models"` // "<vendor> <model>" as published
	Fields map[string]vectorFieldSpec `yaml:"fields"` // the maker's name → what we make of it
	Refuse map[string]string          `yaml:"refuse"` // hex → why the published truth is none and must be an error

	Wrong map[string]map[string]string `yaml:"wrong"` // hex → the maker's name → why that one value is none
}

type vectorFieldSpec struct {
	Signal   string  `yaml:"signal"`   // or signal@channel; without a channel: the first there is
	Expr     string  `yaml:"expr"`     // of the maker's fields, instead of the one that has the name
	Sequence bool    `yaml:"sequence"` // it is the counter
	Clock    string  `yaml:"clock"`    // it is the device's clock, as 2006-01-02 15:04:05 in this zone, for example +08:00
	Is       anyList `yaml:"is"`       // conditions: the maker's words for true
	Scale    float64 `yaml:"scale"`    // the maker's value × scale is ours
	Round    float64 `yaml:"round"`    // the maker gives whole multiples of this: ours is rounded as well
}

// Vector outcomes.
const (
	VectorPassed    = "passed"
	VectorFailed    = "failed"
	VectorRefused   = "refused"    // an error, as it must be
	VectorNoProfile = "no profile" // goes to quarantine
)

// VectorResult is how one published vector went.
type VectorResult struct {
	Platform string `json:"platform,omitempty"` // the network server whose message it came in; "" for a payload alone
	Vendor   string `json:"vendor"`
	Model    string `json:"model"`
	Kind     string `json:"kind"`
	Port     int    `json:"port"`
	Hex      string `json:"hex"`
	Profile  string `json:"profile,omitempty"`
	State    string `json:"state"`
	Compared int    `json:"compared"` // values that were compared
	Reason   string `json:"reason,omitempty"`
}

type vector struct {
	Vendor   string         `json:"vendor"`
	Model    string         `json:"model"`
	Kind     string         `json:"kind"`
	Port     int            `json:"fport"`
	Hex      string         `json:"hex"`
	Expected map[string]any `json:"expected"`
	Errors   []string       `json:"expected_errors"`

	Description string `json:"description"`
	Checksum    *bool  `json:"checksum_ok"` // of a frame of a serial line
}

// Vectors decodes every line of devices.jsonl and of serial.jsonl in dir, a folder of
// messages that makers have published, and compares the values with what the maker says
// they are. Either file may be missing, not both.
func (s *Set) Vectors(dir string) ([]VectorResult, error) {
	models, err := s.vectorModels()
	if err != nil {
		return nil, err
	}
	devices, err := readVectors(filepath.Join(dir, "devices.jsonl"), models)
	serial, serialErr := readVectors(filepath.Join(dir, "serial.jsonl"), models)
	switch {
	case err != nil && (serialErr != nil || !errors.Is(err, fs.ErrNotExist)):
		return nil, err
	case serialErr != nil && !errors.Is(serialErr, fs.ErrNotExist):
		return nil, serialErr
	}
	return append(devices, serial...), nil
}

func readVectors(name string, models map[string]vectorModel) ([]VectorResult, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, grid.Errorf(grid.NotFound, "vectors: %w", err)
	}
	defer file.Close()
	var out []VectorResult
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return nil, grid.Errorf(grid.Invalid, "vectors: %s line %d: %w", file.Name(), n, err)
		}
		if v.Checksum != nil {
			v.ofSerialLine()
		}
		m, ok := models[squeeze(v.Vendor+v.Model+v.Description)] // one of a dialect
		if !ok {
			m = models[squeeze(v.Vendor+v.Model)]
		}
		out = append(out, v.run(m))
	}
	return out, lines.Err()
}

// ofSerialLine gives a vector of a serial line the form of the others: no port, a wrong
// checksum is an error, and what is inside of an object has its name in front.
func (v *vector) ofSerialLine() {
	v.Port = -1
	if !*v.Checksum {
		v.Errors = append(v.Errors, "checksum")
	}
	for name, inside := range v.Expected {
		object, _ := inside.(map[string]any)
		for key, value := range object {
			v.Expected[name+"_"+key] = value
		}
	}
}

type vectorModel struct {
	p    *Profile
	spec *vectorSpec
}

func (s *Set) vectorModels() (map[string]vectorModel, error) {
	models := map[string]vectorModel{}
	for _, p := range s.list {
		spec, err := s.cases(p)
		if err != nil {
			return nil, err
		}
		if spec.Vectors == nil {
			continue
		}
		for _, m := range spec.Vectors.Models {
			models[squeeze(m)] = vectorModel{p, spec.Vectors}
		}
	}
	return models, nil
}

func (v *vector) run(m vectorModel) VectorResult {
	r := VectorResult{Vendor: v.Vendor, Model: v.Model, Kind: v.Kind, Port: v.Port, Hex: v.Hex, State: VectorNoProfile}
	if m.p == nil {
		return r
	}
	r.Profile = m.p.ID
	payload, err := ParseHex(v.Hex)
	if err != nil {
		r.State, r.Reason = VectorFailed, err.Error()
		return r
	}
	d, err := m.p.DecodePayload(v.Port, payload)
	bad, isBad := m.spec.Refuse[hex.EncodeToString(payload)]
	switch {
	case err != nil && (isBad || len(v.Errors) > 0):
		r.State, r.Reason = VectorRefused, err.Error()
		if len(v.Errors) == 0 {
			r.Reason = bad + ": " + r.Reason
		}
	case err != nil:
		r.State, r.Reason = VectorFailed, err.Error()
	case isBad || len(v.Errors) > 0:
		r.State, r.Reason = VectorFailed, "decodes: want an error"
	default:
		r.State = VectorPassed
		if r.Compared, r.Reason, err = v.compare(m.spec, m.spec.Wrong[hex.EncodeToString(payload)], &d); err != nil {
			r.State, r.Reason = VectorFailed, err.Error()
		}
	}
	return r
}

// compare checks every published field that the profile maps. What we do not map is of
// no canonical signal. A value that is called wrong must differ; note says so.
func (v *vector) compare(spec *vectorSpec, wrong map[string]string, d *grid.Decoded) (compared int, note string, err error) {
	for _, name := range slices.Sorted(maps.Keys(spec.Fields)) {
		got, want, ok, err := v.both(name, spec.Fields[name], d)
		why, isWrong := wrong[name]
		same := math.Abs(got-want) <= 1e-6*max(1, math.Abs(want))
		switch {
		case err != nil:
			return compared, "", fmt.Errorf("%s: %w", name, err)
		case !ok && isWrong:
			return compared, "", fmt.Errorf("%s: is called wrong, and is not published", name)
		case !ok:
			continue
		case same && isWrong:
			return compared, "", fmt.Errorf("%s: is called wrong, and %v is right", name, want)
		case isWrong:
			note += fmt.Sprintf("%s: published as %v, is %v: %s. ", name, want, got, why)
			continue
		case !same:
			return compared, "", fmt.Errorf("%s: got %v: want %v", name, got, want)
		}
		compared++
	}
	for name := range wrong {
		if _, ok := spec.Fields[name]; !ok {
			return compared, "", fmt.Errorf("%s: is called wrong, and is compared with nothing", name)
		}
	}
	if compared == 0 && len(d.Readings) > 0 && !d.Restart {
		return 0, "", fmt.Errorf("got %d readings and nothing to compare them with", len(d.Readings))
	}
	return compared, strings.TrimSpace(note), nil
}

// both gives what was decoded and what is published; ok is false where nothing is.
func (v *vector) both(name string, f vectorFieldSpec, d *grid.Decoded) (got, want float64, ok bool, err error) {
	published, ok, err := f.published(name, v.Expected)
	if err != nil || !ok {
		return 0, 0, false, err
	}
	if f.Clock != "" {
		at, err := time.Parse(time.DateTime+"-07:00", fmt.Sprint(published)+f.Clock)
		return float64(d.DeviceTime.Unix()), float64(at.Unix()), true, err
	}
	if want, err = f.want(published); err != nil {
		return 0, 0, false, err
	}
	got, ok = f.got(d)
	if !ok {
		return 0, 0, false, fmt.Errorf("got nothing: want %v", want)
	}
	if f.Round > 0 {
		got = math.Round(got/f.Round) * f.Round
	}
	return got, want, true, nil
}

func (f *vectorFieldSpec) got(d *grid.Decoded) (float64, bool) {
	if f.Sequence {
		return float64(d.Sequence), d.HasSequence
	}
	signal, channel, named := strings.Cut(f.Signal, "@")
	for _, r := range d.Readings {
		if r.Signal.String() == signal && !r.History && (!named || r.Channel == channel) {
			return r.Value, true
		}
	}
	return 0, false
}

func (f *vectorFieldSpec) want(published any) (float64, error) {
	if object, ok := published.(map[string]any); ok {
		published = object["value"]
	}
	if f.Is != nil {
		for _, word := range f.Is {
			if fmt.Sprint(word) == fmt.Sprint(published) {
				return 1, nil
			}
		}
		return 0, nil
	}
	scale := f.Scale
	if scale == 0 {
		scale = 1
	}
	if text, ok := published.(string); ok {
		// "1700 mm", "22 ℃"
		digits := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("+-.0123456789", r) })
		if digits >= 0 {
			text = text[:digits]
		}
		v, err := strconv.ParseFloat(text, 64)
		return v * scale, err
	}
	v, err := toNumber(published)
	return v * scale, err
}

// WriteVectorTable prints results by model: how many passed, failed, were refused or have
// no profile, and the reason for each that did not pass.
func WriteVectorTable(w io.Writer, results []VectorResult) error {
	type row struct {
		title string
		count map[string]int
		notes []string
	}
	var rows []*row
	total := row{title: "all", count: map[string]int{}}
	for _, r := range results {
		title := strings.TrimSpace(r.Vendor + " " + r.Model)
		i := slices.IndexFunc(rows, func(x *row) bool { return x.title == title })
		if i < 0 {
			rows, i = append(rows, &row{title: title, count: map[string]int{}}), len(rows)
		}
		rows[i].count[r.State]++
		total.count[r.State]++
		if r.Reason != "" {
			rows[i].notes = append(rows[i].notes, fmt.Sprintf("%s: port %d %s: %s", r.State, r.Port, r.Hex, r.Reason))
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "model\tpassed\tfailed\trefused\tno profile\tnote")
	for _, r := range append(rows, &total) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%s\n", r.title, r.count[VectorPassed], r.count[VectorFailed], r.count[VectorRefused], r.count[VectorNoProfile], strings.Join(r.notes, " | "))
	}
	return tw.Flush()
}
