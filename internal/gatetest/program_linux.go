package gatetest

import "syscall"

// childAttr makes a child end with the test, also when that is killed.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
