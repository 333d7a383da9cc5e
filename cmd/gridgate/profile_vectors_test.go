package main

import (
	"os"
	"testing"

	firmwareprofiles "gridgate/firmware-profiles"
	"gridgate/internal/profile"
)

func TestPublishedMessagesOfNetworkServersAreReadToTheirReadings(t *testing.T) {
	const dir = "../../../shared/vectors"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no published vectors at ../shared/vectors: skipped")
	}
	set, err := profile.Load(firmwareprofiles.FS)
	if err != nil {
		t.Fatal(err)
	}
	results, err := set.EnvelopeVectors(dir, openPublished)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, r := range results {
		compared += r.Compared
		if r.State != profile.VectorPassed {
			t.Errorf("%s %s %s: %s %s", r.Platform, r.Vendor, r.Model, r.State, r.Reason)
		}
	}
	if compared == 0 {
		t.Error("no value was compared")
	}
	t.Logf("%d messages, %d values", len(results), compared)
}
