package simulator

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"

	"gridgate/internal/grid"
)

// FindProgram is the path of a program: the one that was said, or the first of that name beside this
// program, among the others, or on the PATH.
func FindProgram(said, name string, others ...string) (string, error) {
	if said != "" {
		return exec.LookPath(said)
	}
	if self, err := os.Executable(); err == nil {
		others = append([]string{filepath.Join(filepath.Dir(self), name)}, others...)
	}
	var last error
	for _, p := range append(others, name) {
		bin, err := exec.LookPath(p)
		if err == nil {
			return filepath.Abs(bin)
		}
		last = cmp.Or(last, err)
	}
	return "", grid.Errorf(grid.NotFound, "program %s is not beside gridsim and not on the PATH: %w", name, last)
}
