package engine

import (
	"testing"
	"testing/synctest"

	"gridgate/internal/gatetest"
)

// Found beside what chaos found: a checkpoint that could not be read was cut like a torn one.
func TestACheckpointThatCannotBeReadIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := gatetest.NewSimDisk(1)
		life := d.Begin(nil)
		if err := life.MkdirAll("/node", 0o755); err != nil {
			t.Fatal(err)
		}
		blocks := 0
		count := func([]byte) error { blocks++; return nil }
		c := must[*checkpointer](t)(openCheckpoint(life, "/node"))
		if err := c.load(count); err != nil {
			t.Fatal(err)
		}
		if err := c.append([]byte("block")); err != nil {
			t.Fatal(err)
		}

		d.Trouble.Read = 1000
		if err := must[*checkpointer](t)(openCheckpoint(life, "/node")).load(count); err == nil || blocks > 0 {
			t.Errorf("%d blocks, %v: want the disk's error", blocks, err)
		}
		d.Trouble.Read = 0
		if err := must[*checkpointer](t)(openCheckpoint(life, "/node")).load(count); err != nil || blocks != 1 {
			t.Errorf("%d blocks, %v: want the one that was written", blocks, err)
		}
	})
}
