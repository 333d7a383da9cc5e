//go:build !linux

package fault

import "gridgate/internal/grid"

// Disk is a small disk of its own: of Linux here.
type Disk struct{}

// OpenDisk is refused here.
func OpenDisk(string, int64) (*Disk, error) {
	return nil, grid.Errorf(grid.Forbidden, "a disk of its own is of Linux")
}

func (*Disk) Free() (int64, error) { return 0, nil }
func (*Disk) Fill(int64) error     { return nil }
func (*Disk) Hold(int64) error     { return nil }
func (*Disk) Clear() error         { return nil }
func (*Disk) Close() error         { return nil }
