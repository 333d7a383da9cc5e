//go:build !linux

package gatetest

import "syscall"

func childAttr() *syscall.SysProcAttr { return nil }
