//go:build !linux

package scenario

import (
	"errors"
	"syscall"
)

func tied() *syscall.SysProcAttr { return nil }

func (p *process) freeze() error { return errors.ErrUnsupported }
func (p *process) thaw() error   { return errors.ErrUnsupported }
