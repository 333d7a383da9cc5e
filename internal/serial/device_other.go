//go:build !linux

package serial

import "gridgate/internal/grid"

// openDevice refuses: a port that cannot be locked would be shared by accident.
func openDevice(c *Config) (Port, string, error) {
	return nil, c.Path, grid.Errorf(grid.Unavailable, "port %s: serial ports are opened on Linux only: want connect: tcp://host:port of a serial server", c.Path)
}
