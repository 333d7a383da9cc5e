package profile

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"gridgate/internal/grid"
)

// Bounds of guessing: it may be asked for every frame of every unknown device.
const (
	maxGuesses      = 5
	maxGuessPayload = 4 << 10
)

// Scores of the signs a guess rests on. Below minScore it is no guess.
const (
	scoreModel    = 60  // the envelope names the model
	scoreName     = 35  // the device's name says what it is
	scoreEUI      = 15  // the maker's EUIs begin so
	scoreExact    = 10  // and by its whole name
	scoreDecodes  = 20  // the payload decodes without a warning
	scoreReading  = 3   // for each reading of it, up to four
	scoreClean    = 8   // it decodes without a warning, to nothing of the profile's kind
	scoreWarnings = 2   // it decodes with warnings
	scoreSuspect  = -5  // for each reading beyond its range
	scorePort     = 8   // on a port that the profile names
	scoreAnyPort  = -12 // on a port, and the profile would take any
	maxEvidence   = 24  // for each bit that had to be as it is
	scoreFails    = -40
	minScore      = 20
)

// Guess is a profile that may fit an unknown device. It is for a person to confirm.
type Guess struct {
	Profile string `json:"profile"`
	Score   int    `json:"score"`
	Reason  string `json:"reason"`
	Smoke   bool   `json:"smoke"` // it is for smoke detectors, or the frame speaks of smoke
	Fire    bool   `json:"fire"`  // decoded with it, the frame says smoke.alarm or heat.alarm
}

// identity is what a profile knows of the devices it is for.
type identity struct {
	models []string // lower case, letters and digits only
	eui    []string // lower-case hex
	names  []string // lower case: "tasmota:door" is for tasmota identities, "door" for z2m

	schemes []string
}

func compileIdentity(s *identifySpec, model string) (identity, error) {
	var id identity
	for _, m := range append([]string{model}, s.Models...) {
		if m = squeeze(m); m != "" && !slices.Contains(id.models, m) {
			id.models = append(id.models, m)
		}
	}
	for _, e := range s.EUI {
		e = strings.ToLower(e)
		if len(e) < 4 || len(e) > 16 || strings.Trim(e, "0123456789abcdef") != "" {
			return id, fmt.Errorf("identify: eui %q: want 4 to 16 hex digits, how EUIs of the maker begin", e)
		}
		id.eui = append(id.eui, e)
	}
	for _, n := range s.Names {
		if len(n) < 2 {
			return id, fmt.Errorf("identify: name %q: want a word", n)
		}
		id.names = append(id.names, strings.ToLower(n))
	}
	id.schemes = s.Schemes
	return id, nil
}

// squeeze keeps the letters and digits of a name, in lower case: "EM310-TILT" and
// "em310 tilt" are one.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// byIdentity gives the profiles that recognise most of an identity, and what they
// recognise in it.
func (s *Set) byIdentity(id grid.Identity) (best []*Profile, sign string) {
	kind, rest, _ := strings.Cut(strings.ToLower(string(id)), ":")
	for _, p := range s.list {
		known := p.identify.knows(kind, rest)
		if known == "" || len(known) < len(sign) {
			continue
		}
		if len(known) > len(sign) {
			sign, best = known, nil
		}
		best = append(best, p)
	}
	return best, sign
}

// knows gives the longest part of an identity that a profile recognises.
func (id *identity) knows(kind, rest string) (sign string) {
	if slices.Contains(id.schemes, kind) {
		return kind
	}
	switch kind {
	case "eui":
		for _, e := range id.eui {
			if strings.HasPrefix(rest, e) && len(e) > len(sign) {
				sign = e
			}
		}
	default:
		for _, n := range id.names {
			of, word, named := strings.Cut(n, ":")
			if !named {
				of, word = "z2m", n
			}
			if of == kind && strings.Contains(rest, word) && len(word) > len(sign) {
				sign = word
			}
		}
	}
	return sign
}

// GuessIdentity says from the identity alone which profile a device most likely has, ""
// where several or none would do, and whether it can only be a smoke detector. It does
// not decode and is cheap enough for every frame of an unknown device.
func (s *Set) GuessIdentity(id grid.Identity) (profile string, smoke bool) {
	best, sign := s.byIdentity(id)
	if len(best) == 0 {
		return "", false
	}
	smoke = true
	for _, p := range best {
		// A fire alarm system is one, whatever else hangs on it.
		ofFireAlarm := p.IsSmoke() && slices.Contains(p.identify.schemes, sign)
		smoke = smoke && (p.onlySmoke() || ofFireAlarm)
	}
	if len(best) == 1 {
		profile = best[0].ID
	}
	return profile, smoke
}

// Guess ranks the profiles that may fit the device that sent f, best first, by what its
// envelope and identity say and by decoding the payload on trial. f has been through
// envelope.Open; where that failed, what is there is used. It gives at most five, looks
// at each profile once, and at payloads of at most 4 KiB.
func (s *Set) Guess(f grid.Frame) []Guess {
	known, sign := s.byIdentity(f.Identity)
	model := squeeze(f.Model)
	var out []Guess
	for _, p := range s.list {
		g := Guess{Profile: p.ID, Smoke: p.onlySmoke()}
		var reasons []string
		add := func(score int, reason string) {
			g.Score += score
			reasons = append(reasons, reason)
		}
		named := p.identify.namedIn(model)
		if named > 0 {
			add(named, fmt.Sprintf("the envelope names the model %q", f.Model))
		}
		if slices.Contains(known, p) {
			switch {
			case strings.HasPrefix(string(f.Identity), "eui:"):
				add(scoreEUI, "its EUI begins with "+sign)
			case slices.Contains(p.identify.schemes, sign):
				add(scoreEUI, "it is known by "+sign)
			default:
				add(scoreName, fmt.Sprintf("its name has %q in it", sign))
			}
		}
		if p.mayBeOf(&f, named > 0 || slices.Contains(known, p)) {
			g.try(p, f, add)
		}
		if g.Score >= minScore {
			g.Reason = strings.Join(reasons, "; ")
			out = append(out, g)
		}
	}
	slices.SortStableFunc(out, func(a, b Guess) int {
		// Of two that are as likely, the one that may be a fire goes first.
		return cmp.Or(cmp.Compare(b.Score, a.Score), boolCompare(b.Fire, a.Fire), boolCompare(b.Smoke, a.Smoke))
	})
	return out[:min(len(out), maxGuesses)]
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// try decodes the frame with a profile and judges the outcome. Only a reading of what the
// profile's kind is about counts in full: a temperature alone is no smoke detector.
func (g *Guess) try(p *Profile, f grid.Frame, add func(int, string)) {
	d, evidence, err := p.trial(f)
	if err != nil {
		add(scoreFails, "the payload does not decode")
		return
	}
	ofKind, suspect := 0, 0
	for _, r := range d.Readings {
		if r.Suspect {
			suspect += scoreSuspect
		}
		measurement := grid.Signals[r.Signal].Measurement
		if slices.Contains(p.Kinds, grid.Kind(measurement)) {
			ofKind++
		}
		if grid.Kind(measurement) == grid.Smoke {
			g.Smoke = true
		}
		if (r.Signal == grid.SmokeAlarm || r.Signal == grid.HeatAlarm) && r.Bool() && !r.History {
			g.Fire = true
		}
	}
	score := min(evidence, maxEvidence) + suspect
	switch {
	case slices.Contains(p.Ports, f.Port):
		score += scorePort
	case len(p.Ports) == 0 && f.Port >= 0:
		score += scoreAnyPort
	}
	switch {
	case len(d.Warnings) > 0:
		add(scoreWarnings+score/2, "the payload decodes in part")
	case ofKind > 0:
		add(scoreDecodes+scoreReading*min(len(d.Readings), 4)+score, fmt.Sprintf("the payload decodes to %d readings", len(d.Readings)))
	default:
		add(scoreClean+score, "the payload is one of its messages")
	}
}

// namedIn is what the name of a model in an envelope, squeezed, says for the profile.
func (id *identity) namedIn(model string) int {
	longest := 0
	for _, m := range id.models {
		if model == m {
			return scoreModel + scoreExact
		}
		if strings.Contains(model, m) {
			longest = max(longest, len(m))
		}
	}
	if longest == 0 {
		return 0
	}
	return scoreModel + min(longest, scoreExact-1) // the longer of two names is the better one
}

// mayBeOf says whether a trial is worth its time. signs: the identity or the envelope
// speaks for the profile.
func (p *Profile) mayBeOf(f *grid.Frame, signs bool) bool {
	n := len(f.Payload)
	if n == 0 || n > maxGuessPayload {
		return false
	}
	switch p.Codec {
	case "binary", "tlv":
		// What has a content format of its own is no maker's bytes, unless the profile says
		// that they come inside of it.
		_, inside := p.codec.(*inResource)
		return !f.HasFormat || f.Format == formatOctets || inside
	case "javascript": // a run costs a thousand times what another trial does
		return signs
	case "gbt26875":
		return n > 2 && f.Payload[0] == '@' && f.Payload[1] == '@'
	case "modbus":
		return signs || f.Transport == "serial"
	case "json":
		first := bytes.TrimLeft(f.Payload, " \t\r\n")
		return len(first) > 0 && (first[0] == '{' || first[0] == '[')
	}
	return true
}

// onlySmoke reports whether the profile is for smoke detectors and nothing else.
func (p *Profile) onlySmoke() bool { return len(p.Kinds) == 1 && p.Kinds[0] == grid.Smoke }
