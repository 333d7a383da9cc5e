package profile

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"gridgate/internal/grid"
)

// published is one line of envelopes.jsonl: a complete message of a network server, and
// what a converter of somebody else's makes of it.
type published struct {
	Platform string          `json:"platform"`
	Vendor   string          `json:"vendor"`
	Model    string          `json:"model"`
	Kind     string          `json:"kind"`
	Envelope json.RawMessage `json:"envelope"`
	Result   json.RawMessage `json:"expected_result"`
}

// EnvelopeVectors opens every message of envelopes.jsonl in dir by open, and decodes its
// payload by the profile of its model. Values are compared where the names of the
// converter and of the maker are the same.
func (s *Set) EnvelopeVectors(dir string, open func(platform string, message []byte) (grid.Frame, error)) ([]VectorResult, error) {
	file, err := os.Open(filepath.Join(dir, "envelopes.jsonl"))
	if err != nil {
		return nil, grid.Errorf(grid.NotFound, "vectors: %w", err)
	}
	defer file.Close()
	models, err := s.vectorModels()
	if err != nil {
		return nil, err
	}
	var out []VectorResult
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var p published
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return nil, grid.Errorf(grid.Invalid, "vectors: %s line %d: %w", file.Name(), n, err)
		}
		out = append(out, p.run(s.modelOf(models, p.Vendor, p.Model), open))
	}
	return out, lines.Err()
}

// modelOf finds the profile of a model, whose name may have words behind it.
func (s *Set) modelOf(models map[string]vectorModel, vendor, model string) (best vectorModel) {
	name, length := squeeze(vendor+model), 0
	for known, m := range models {
		if strings.HasPrefix(name, known) && len(known) > length {
			best, length = m, len(known)
		}
	}
	if best.p != nil {
		return best
	}
	for _, p := range s.list {
		if squeeze(p.Vendor) != squeeze(vendor) {
			continue
		}
		for _, known := range p.identify.models {
			if strings.Contains(name, known) && len(known) > length {
				best, length = vectorModel{p: p}, len(known)
			}
		}
	}
	return best
}

func (p *published) run(m vectorModel, open func(string, []byte) (grid.Frame, error)) VectorResult {
	r := VectorResult{Platform: p.Platform, Vendor: p.Vendor, Model: p.Model, Kind: p.Kind, State: VectorFailed}
	f, err := open(p.Platform, p.Envelope)
	if err != nil {
		r.Reason = err.Error()
		return r
	}
	r.Port, r.Hex = f.Port, hex.EncodeToString(f.Payload)
	if m.p == nil {
		r.State = VectorNoProfile
		return r
	}
	r.Profile = m.p.ID
	d, err := m.p.Decode(f)
	if err != nil {
		r.Reason = err.Error()
		return r
	}
	r.State = VectorPassed
	if m.spec == nil {
		return r
	}
	v, wrong := vector{Expected: p.telemetry()}, m.spec.Wrong[r.Hex]
	for name, field := range m.spec.Fields {
		got, want, ok, err := v.both(name, field, &d)
		switch {
		case err != nil || !ok: // another word, or another unit: the makers' own table compares
		case wrong[name] != "" && got != want:
			r.Reason = fmt.Sprintf("%s: published as %v, is %v: %s", name, want, got, wrong[name])
		case got != want:
			r.State, r.Reason = VectorFailed, fmt.Sprintf("%s: got %v: want %v", name, got, want)
		default:
			r.Compared++
		}
	}
	return r
}

// telemetry gathers the values that the converter gives.
func (p *published) telemetry() map[string]any {
	type result struct {
		Telemetry json.RawMessage `json:"telemetry"`
	}
	var many []result
	if json.Unmarshal(p.Result, &many) != nil {
		many = make([]result, 1)
		_ = json.Unmarshal(p.Result, &many[0]) // of another form: nothing to compare
	}
	out := map[string]any{}
	for _, one := range many {
		var samples []struct {
			Values map[string]any `json:"values"`
		}
		if json.Unmarshal(one.Telemetry, &samples) != nil {
			continue
		}
		for _, s := range samples {
			for name, value := range s.Values {
				out[name] = value
			}
		}
	}
	return out
}

// WriteEnvelopeTable prints how many messages of each platform opened and decoded.
func WriteEnvelopeTable(w io.Writer, results []VectorResult) error {
	type row struct {
		title    string
		count    map[string]int
		compared int
		notes    []string
	}
	var rows []*row
	total := row{title: "all", count: map[string]int{}}
	for _, r := range results {
		i := slices.IndexFunc(rows, func(x *row) bool { return x.title == r.Platform })
		if i < 0 {
			rows, i = append(rows, &row{title: r.Platform, count: map[string]int{}}), len(rows)
		}
		for _, to := range []*row{rows[i], &total} {
			to.count[r.State]++
			to.compared += r.Compared
		}
		if r.Reason != "" {
			rows[i].notes = append(rows[i].notes, fmt.Sprintf("%s %s: port %d %s: %s", r.Vendor, r.Model, r.Port, r.Hex, r.Reason))
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "platform\tpassed\tfailed\tno profile\tvalues compared\tnote")
	for _, r := range append(rows, &total) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%s\n", r.title, r.count[VectorPassed], r.count[VectorFailed], r.count[VectorNoProfile], r.compared, strings.Join(r.notes, " | "))
	}
	return tw.Flush()
}
