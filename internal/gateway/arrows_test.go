package gateway_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows says which packages of this module each package may import, tests apart. What is
// not named here may import nothing but grid. Thick packages have short lists: an arrow is
// added by a person who has thought about it, not by the editor.
var arrows = map[string][]string{
	"cmd/gridgate": {"configs", "firmware-profiles", "internal/api", "internal/audit", "internal/cert", "internal/dispatch", "internal/envelope", "internal/gateway", "internal/geo", "internal/profile", "internal/registry"},
	"cmd/gridsim":  {"simulator", "simulator/drive", "simulator/load", "simulator/scenario", "simulator/verdict"},

	// The simulator shares no code with what it tests, or the same bug on both ends cancels out.
	"simulator": {"firmware-profiles"},
	// Days of a city, as files; who plays them to a gateway; what came of it.
	"simulator/scenarios": {},
	"simulator/scenario":  {"simulator", "simulator/fault", "simulator/scenarios", "simulator/verdict"},
	"simulator/fault":     {"simulator"}, // what devices say before it is sent, and their lines
	"simulator/verdict":   {},
	// A page to play by hand.
	"simulator/drive": {"simulator", "simulator/fault", "simulator/scenario"},
	// What a gateway takes, and where it bends.
	"simulator/load": {"simulator", "simulator/verdict"},

	"internal/grid":  {},
	"internal/disk":  {},               // of this machine, or of a simulation
	"internal/label": {"internal/pdf"}, // what it prints
	"internal/engine": {
		"internal/alarm", "internal/calendar", "internal/clock", "internal/commission", "internal/contractor", "internal/disk", "internal/duty", "internal/envelope", "internal/geo", "internal/hazard", "internal/influx", "internal/people", "internal/privacy", "internal/profile", "internal/registry", "internal/state", "internal/ticket",
	},
	"internal/profile":  {"internal/gb26875"},
	"internal/api":      {"internal/alarm", "internal/auth", "internal/audit", "internal/commission", "internal/record", "internal/contractor", "internal/duty", "internal/evidence", "internal/figures", "internal/geo", "internal/label", "internal/pdf", "internal/profile", "internal/state"}, // the shapes of what it reads
	"internal/registry": {"internal/geo"},
	"internal/broker":   {"internal/intake"},
	"internal/bulk":     {"internal/geo", "internal/registry"}, // what a row of a sheet must be
	"internal/coap":     {"internal/intake"},
	"internal/mqtt":     {"internal/intake"},
	"internal/serial":   {"internal/gb26875", "internal/intake"},
	"internal/dispatch": {"internal/clock", "internal/gb26875"}, // its frames, up to a higher centre
	"internal/downlink": {"internal/clock"},
	"internal/clock":    {},
	"internal/cert":     {}, // and nothing of who shows them
	"internal/gateway": {
		"configs", "firmware-profiles",
		"internal/alarm", "internal/api", "internal/audit", "internal/auth", "internal/backup", "internal/broker", "internal/bulk", "internal/calendar", "internal/cert", "internal/clock", "internal/coap", "internal/commission", "internal/console", "internal/contractor", "internal/disk", "internal/dispatch", "internal/downlink", "internal/duty", "internal/engine", "internal/envelope", "internal/evidence", "internal/figures", "internal/geo",
		"internal/hazard", "internal/influx", "internal/journal", "internal/label", "internal/mqtt", "internal/people", "internal/pdf", "internal/privacy", "internal/profile", "internal/record", "internal/registry", "internal/serial",
		"internal/state", "internal/ticket", "internal/trace",
	},
	"internal/alarm":      {"internal/calendar"},
	"internal/contractor": {"internal/calendar"},
	"internal/figures":    {"internal/calendar"},
	"internal/ticket":     {"internal/calendar"},
	"internal/people":     {"internal/calendar"},
	"internal/hazard":     {"internal/calendar"},
	"internal/commission": {"internal/alarm"}, // the limits of windows
	"internal/record":     {"internal/commission", "internal/duty", "internal/pdf"},
	"internal/duty":       {"internal/calendar", "internal/state"}, // the shapes of what it gathers
	"internal/console":    {},                                      // files, and nothing of what they show
	"internal/journal":    {"internal/disk"},
	"internal/audit":      {"internal/disk"},
	"internal/privacy":    {},
	"internal/trace":      {}, // and nobody else knows of OpenTelemetry
	"internal/influx":     {"internal/disk"},
	"internal/gatetest":   nil, // tests of everything: may import anything

	"internal/gatetest/history": {"internal/state"}, // a past for browser tests of figures
}

// thin packages use the standard library alone.
var thin = []string{"internal/grid", "configs", "firmware-profiles"}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestArrowsBetweenPackagesAreThoseOfTheTable(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, "gridgate/")
		seen[name] = true
		allowed, listed := arrows[name]
		if listed && allowed == nil {
			continue
		}
		for _, in := range p.Imports {
			own, ours := strings.CutPrefix(in, "gridgate/")
			switch {
			case ours && own != "internal/grid" && !slices.Contains(allowed, own):
				t.Errorf("%s imports %s: no arrow leads there", name, own)
			case ours && own == "internal/grid" && name == "internal/grid":
				t.Errorf("grid imports itself")
			case !ours && strings.Contains(strings.SplitN(in, "/", 2)[0], ".") && slices.Contains(thin, name):
				t.Errorf("%s imports %s: want the standard library alone", name, in)
			}
			if strings.HasPrefix(in, "gridgate/cmd/") {
				t.Errorf("%s imports the command %s", name, in)
			}
		}
	}
	for name, allowed := range arrows {
		if !seen[name] {
			t.Errorf("the table names %s, which is no package", name)
		}
		for _, a := range allowed {
			if !seen[a] {
				t.Errorf("the table lets %s import %s, which is no package", name, a)
			}
		}
	}
}

func TestNoPackageHasANameThatSaysNothing(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, part := range strings.Split(p.ImportPath, "/") {
			if slices.Contains([]string{"util", "utils", "common", "models", "helpers", "manager", "misc", "lib"}, part) {
				t.Errorf("%s: want a noun of the domain or the name of a technology", p.ImportPath)
			}
		}
	}
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Standard", "gridgate/...")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %s", exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
