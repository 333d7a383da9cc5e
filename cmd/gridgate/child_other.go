//go:build !linux

package main

import "syscall"

func childAttr() *syscall.SysProcAttr { return nil }

func (s *sim) hold(started chan<- error, read func()) { s.holdPlain(started, read) }
