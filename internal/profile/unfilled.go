package profile

import (
	"io/fs"
	"path"
	"strconv"
	"strings"

	"gridgate/internal/grid"
)

// fillIn marks the places of a new profile that a person has to fill in.
const fillIn = "FILL IN"

// unfilled gives a finding where lines of a file still say that they want to be filled in.
func unfilled(fsys fs.FS, dir, name string) []error {
	raw, err := fs.ReadFile(fsys, path.Join(dir, name))
	if err != nil {
		return nil
	}
	var lines []string
	for i, line := range strings.Split(string(raw), "\n") {
		if strings.Contains(line, fillIn) {
			lines = append(lines, strconv.Itoa(i+1))
		}
	}
	if lines == nil {
		return nil
	}
	return []error{grid.Errorf(grid.Invalid, "%s: %s stands in line %s: want it filled in and the words gone", path.Join(dir, name), fillIn, strings.Join(lines, ", "))}
}
