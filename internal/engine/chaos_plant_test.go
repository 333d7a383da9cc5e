package engine

import (
	"gridgate/internal/disk"
	"gridgate/internal/influx"
	"gridgate/internal/state"
)

// plant is a bug that a test puts into a node. The product has no way to ask for one.
type plant struct {
	disk    func(disk.FS) disk.FS
	commit  func(*state.Batch) *state.Batch
	cut     func(*influx.Queue, influx.Mark) error
	started func(*node)
}
