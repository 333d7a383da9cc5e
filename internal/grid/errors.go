package grid

import (
	"errors"
	"fmt"
)

// Code is one of a closed list; the API has one table from it to HTTP status.
type Code string

const (
	Invalid      Code = "invalid"
	NotFound     Code = "not_found"
	Conflict     Code = "conflict"
	Unauthorized Code = "unauthorized"
	Forbidden    Code = "forbidden"
	Unavailable  Code = "unavailable"
	Internal     Code = "internal"

	// Of signing on.
	CodeWanted   Code = "code_wanted"   // the password is right, a one-time code is missing
	ChangeWanted Code = "change_wanted" // the one-time password must be changed first
	TooMany      Code = "too_many"      // too many tries: later
)

// Error names the thing and the wish, and carries a code.
type Error struct {
	Code Code
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error; %w wraps as in fmt.Errorf.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// CodeOf finds the outermost code in err's chain; errors without one are Internal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// ErrOverloaded says: ask the peer to come back later (CoAP 5.03, hold the PUBACK).
var ErrOverloaded = Errorf(Unavailable, "journal is full or behind: come back later")
