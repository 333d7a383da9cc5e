package geo

import (
	"fmt"

	"gridgate/internal/grid"
)

// Problem is what is wrong, or odd, with a place: a code for programs and the words for
// people in both languages.
type Problem struct {
	Code string `json:"code"`
	ZH   string `json:"zh"`
	EN   string `json:"en"`
}

// Error is the English words.
func (p *Problem) Error() string { return p.EN }

// problem makes one as an error that is Invalid; errors.As finds the Problem in it. Both
// texts take the same arguments, in the same order or by number.
func problem(code, zh, en string, args ...any) error {
	return grid.Errorf(grid.Invalid, "%w", newProblem(code, zh, en, args...))
}

func newProblem(code, zh, en string, args ...any) *Problem {
	return &Problem{Code: code, ZH: fmt.Sprintf(zh, args...), EN: fmt.Sprintf(en, args...)}
}
