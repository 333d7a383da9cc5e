package profile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gridgate/internal/grid"
)

// GuessLabel says which profiles may fit a device of which only the label is known: its identity,
// and what the label calls its model. Best first, at most five.
func (s *Set) GuessLabel(id grid.Identity, model string) []Guess {
	known, sign := s.byIdentity(id)
	squeezed := squeeze(model)
	var out []Guess
	for _, p := range s.list {
		g := Guess{Profile: p.ID, Smoke: p.onlySmoke()}
		var reasons []string
		if n := p.identify.namedIn(squeezed); n > 0 {
			g.Score += n
			reasons = append(reasons, fmt.Sprintf("the label names the model %q", model))
		}
		if slices.Contains(known, p) {
			g.Score += scoreEUI
			reasons = append(reasons, "its name begins with, or has in it, "+sign)
		}
		if g.Score > 0 {
			g.Reason = strings.Join(reasons, "; ")
			out = append(out, g)
		}
	}
	slices.SortStableFunc(out, func(a, b Guess) int { return cmp.Compare(b.Score, a.Score) })
	return out[:min(len(out), maxGuesses)]
}
