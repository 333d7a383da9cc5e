package profile_test

import (
	"os"
	"testing"

	"gridgate/internal/profile"
)

// TestMain lets this test program be a codec worker, as gridgate is one.
func TestMain(m *testing.M) {
	profile.RunWorker()
	os.Exit(m.Run())
}
