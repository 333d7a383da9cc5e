package scenario

import (
	"io/fs"
	"os"
	"slices"
	"strings"

	"gridgate/internal/grid"
	"gridgate/simulator/scenarios"
)

// List names the scenarios that come with the simulator.
func List() []string {
	files, err := fs.Glob(scenarios.FS, "*.yaml")
	if err != nil {
		panic("scenario: a pattern of ours: " + err.Error())
	}
	var out []string
	for _, f := range files {
		out = append(out, idOf(f))
	}
	slices.Sort(out)
	return out
}

// Load reads a scenario: one of List by its name, or a file.
func Load(name string) (*Scenario, error) {
	if !strings.ContainsAny(name, "./") {
		b, err := scenarios.FS.ReadFile(name + ".yaml")
		if err != nil {
			return nil, grid.Errorf(grid.NotFound, "scenario is %q: want a file, or one of %s", name, strings.Join(List(), ", "))
		}
		return Parse(name+".yaml", b)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return Parse(name, b)
}
