//go:build linux

package gatetest_test

import (
	"os"
	"path/filepath"
	"testing"

	"gridgate/internal/gatetest"
)

func TestPowerLossTakesWhatWasNotSynced(t *testing.T) {
	disk := gatetest.PowerLossDisk(t)
	write := func(name string, sync bool) {
		f, err := os.Create(filepath.Join(disk.Dir(), name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(name); err != nil {
			t.Fatal(err)
		}
		if sync {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
	}
	write("synced", true)
	write("lost", false)
	disk.Crash()
	if b, err := os.ReadFile(filepath.Join(disk.Dir(), "synced")); err != nil || string(b) != "synced" {
		t.Errorf("the synced file has %q, %v", b, err)
	}
	if b, _ := os.ReadFile(filepath.Join(disk.Dir(), "lost")); len(b) > 0 {
		t.Errorf("the file that was not synced has %q: this disk cannot tell the two apart", b)
	}
}
