//go:build !linux

package influx

import "os"

func syncData(f *os.File) error { return f.Sync() }
