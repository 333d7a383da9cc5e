package serial

import (
	"strings"
	"testing"
)

// BenchmarkCut is what a byte costs, of what devices write and of what somebody writes to
// keep us busy.
func BenchmarkCut(b *testing.B) {
	streams := map[string]func(f framing) []byte{
		"frames": func(f framing) []byte { return f.write("a frame of an ordinary length, 48") },
		"starts": func(f framing) []byte { return []byte(strings.Repeat(string(f.write("")[:2]), 30)) },
		"start":  func(f framing) []byte { return f.write("")[:1] },
		"nested": func(framing) []byte { return []byte(strings.Repeat("@@##", 6) + "\x00\x03##\x68\x90\x02\x02\x68\x16") },
	}
	for name, f := range framings {
		for what, make := range streams {
			b.Run(name+"/"+what, func(b *testing.B) {
				cfg := f.cfg.withDefaults()
				c, err := cfg.cutter()
				if err != nil {
					b.Fatal(err)
				}
				s, piece := stream{cutter: c}, make(f)
				b.SetBytes(int64(len(piece)))
				for b.Loop() {
					s.feed(piece, false, func(cut, int64) {})
				}
			})
		}
	}
}
