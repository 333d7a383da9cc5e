package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"gridgate/internal/profile"
)

func TestMain(m *testing.M) {
	profile.RunWorker()
	os.Exit(m.Run())
}

// TestCommandLine runs testdata/script/*.txtar: what a person types and reads.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		RequireUniqueNames: true,
		Cmds:               map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}
