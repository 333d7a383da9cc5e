//go:build !linux

package load

import "syscall"

func tied() *syscall.SysProcAttr { return nil }
