package cert

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"time"
)

// Ending is a certificate in a file, and how near its end is.
type Ending struct {
	What  string    `json:"what"` // the key of the configuration that names it
	Path  string    `json:"path"`
	Name  string    `json:"name,omitempty"`
	Hosts []string  `json:"hosts,omitempty"`
	Ends  time.Time `json:"ends,omitzero"`
	Level Level     `json:"level"`
	Error string    `json:"error,omitempty"` // it cannot be read
}

// Level is how near.
type Level string

// The levels. A certificate that is renewed by itself is renewed before either.
const (
	Fine  Level = "fine"
	Soon  Level = "soon"  // within 30 days, or the last quarter of what lasts less than 120
	Next  Level = "next"  // within 7 days, or the last twelfth
	Ended Level = "ended" // or cannot be read
)

const (
	soonBefore = 30 * 24 * time.Hour
	nextBefore = 7 * 24 * time.Hour
)

// LevelOf says how near an end is; from may be the zero time.
func LevelOf(from, ends, now time.Time) Level {
	soon, next := soonBefore, nextBefore
	if lasts := ends.Sub(from); !from.IsZero() && lasts < 4*soonBefore {
		soon, next = lasts/4, lasts/12
	}
	switch left := ends.Sub(now); {
	case left <= 0:
		return Ended
	case left < next:
		return Next
	case left < soon:
		return Soon
	}
	return Fine
}

// EndingsOf reads all certificates of a PEM file: a chain is as good as the first that ends.
func EndingsOf(what, path string, now time.Time) []Ending {
	b, err := os.ReadFile(path)
	if err != nil {
		return []Ending{{What: what, Path: path, Level: Ended, Error: err.Error()}}
	}
	var out []Ending
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		e := Ending{What: what, Path: path}
		if c, err := x509.ParseCertificate(block.Bytes); err != nil {
			e.Level, e.Error = Ended, err.Error()
		} else {
			e.Name, e.Hosts, e.Ends, e.Level = c.Subject.CommonName, hostsOf(c), c.NotAfter.UTC(), LevelOf(c.NotBefore, c.NotAfter, now)
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		out = []Ending{{What: what, Path: path, Level: Ended, Error: "it holds no certificate: want PEM"}}
	}
	return out
}
