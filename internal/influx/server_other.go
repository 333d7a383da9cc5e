//go:build !linux

package influx

import "syscall"

// childAttr has nothing to say where a child cannot be tied to its parent.
func childAttr() *syscall.SysProcAttr { return nil }
