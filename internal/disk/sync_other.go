//go:build unix && !linux

package disk

import "os"

func syncData(f *os.File) error { return f.Sync() }

func allocate(*os.File, int64, int64) error { return nil }
