package serial

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gridgate/internal/gb26875"
)

// framing is a protocol under test: how its streams are cut, and what a device writes.
type framing struct {
	cfg   Config
	write func(payload string) []byte // a frame that holds the payload
	want  func(payload string) string // what the cutter gives for it
	noise []string                    // what may come between frames; none is a frame or begins one for long
}

func hexed(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

func gbFrame(serial uint16, unit string) []byte {
	return gb26875.Append(nil, gb26875.Frame{
		Serial: serial, Version: 1, UserVersion: 2, Sent: gb26875.Time{1, 2, 3, 4, 5, 26}, Source: 4711, Destination: 99, Command: gb26875.Send, Unit: []byte(unit),
	})
}

var framings = map[string]framing{
	GBT26875: {
		cfg:   Config{Protocol: GBT26875},
		write: func(p string) []byte { return gbFrame(7, p) },
		want:  func(p string) string { return string(gbFrame(7, p)) },
		noise: []string{"\x00\xff\x80", "@", "##", "@#@#", "\xfe", "@@", "@@@", "@@" + strings.Repeat("\x00", 12)},
	},
	Lines: {
		cfg:   Config{Protocol: Lines, Lines: LineSettings{Start: "$"}},
		write: func(p string) []byte { return []byte("$" + p + "\r\n") },
		want:  func(p string) string { return "$" + p },
		noise: []string{"\x00\xff\x80", "zz", "\r\n", "\xfe\r", "$lost"},
	},
	STXETX: {
		cfg:   Config{Protocol: STXETX, STXETX: MarkSettings{Check: CheckXOR}},
		write: func(p string) []byte { return []byte("\x02" + p + "\x03" + string(xor(p+"\x03"))) },
		want:  func(p string) string { return p },
		noise: []string{"\x00\xff\x80", "zz", "\x03", "\x02half", "\x02ba\x01d\x03", "\x02wrong\x03\x00"},
	},
	Block: {
		cfg: Config{Protocol: Block, Block: BlockSettings{Start: "68", End: "16", LengthAt: 1, LengthSize: 2, Order: "little", Adds: 5, CheckFrom: 1}},
		write: func(p string) []byte {
			b := append([]byte{0x68, byte(len(p)), byte(len(p) >> 8)}, p...)
			var sum byte
			for _, c := range b[1:] {
				sum += c
			}
			return append(b, sum, 0x16)
		},
		noise: []string{"\x00\xff\x80", "zz", "\x16", "\x68\x00", "\x68\x02\x00\x10\x20\x00\x16", "\x68\xff\xff"},
	},
}

func xor(s string) (x rune) {
	for _, c := range []byte(s) {
		x ^= rune(c)
	}
	return x
}

func (f framing) expect(payload string) string {
	if f.want == nil {
		return string(f.write(payload))
	}
	return f.want(payload)
}

// payloads hold the marks of all framings, where the framing allows them.
func (f framing) payloads() []string {
	if f.cfg.Protocol == GBT26875 || f.cfg.Protocol == Block {
		return []string{"plain", "a@@b##c", "##@@", "\x68\x16\x68\x03\x00\x16", "@@\x00\x00\x01\x01", strings.Repeat("@@##\x68\x16", 30)}
	}
	return []string{"plain", "a@@b##c", "##@@", "x=1;y=2"}
}

func cutAll(t testing.TB, f framing, pieces ...[]byte) []string {
	t.Helper()
	cfg := f.cfg
	cfg.Name, cfg.Path = "a", "/dev/null"
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	cfg = cfg.withDefaults()
	c, err := cfg.cutter()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	s := stream{cutter: c}
	take := func(c cut, _ int64) {
		if c.frame != nil {
			got = append(got, string(c.frame))
		}
	}
	for _, p := range pieces {
		s.feed(p, false, take)
		if n := s.held(); n > c.most() {
			t.Fatalf("%d bytes are held: want at most %d", n, c.most())
		}
	}
	s.feed(nil, true, take)
	if s.held() != 0 {
		t.Fatalf("%d bytes are held when the line is quiet", s.held())
	}
	return got
}

// broken cuts b at random places.
func broken(r *rand.Rand, b []byte) (pieces [][]byte) {
	for len(b) > 0 {
		n := 1 + r.IntN(min(len(b), 1+r.IntN(40)))
		pieces, b = append(pieces, b[:n]), b[n:]
	}
	return pieces
}

func TestFramesComeThroughGluedAndInPieces(t *testing.T) {
	for name, f := range framings {
		t.Run(name, func(t *testing.T) {
			var all []byte
			var want []string
			for _, p := range f.payloads() {
				all = append(all, f.write(p)...)
				want = append(want, f.expect(p))
			}
			if got := cutAll(t, f, all); !slices.Equal(got, want) {
				t.Errorf("glued: got %q: want %q", got, want)
			}
			var single [][]byte
			for i := range all {
				single = append(single, all[i:i+1])
			}
			if got := cutAll(t, f, single...); !slices.Equal(got, want) {
				t.Errorf("byte by byte: got %q: want %q", got, want)
			}
		})
	}
}

func TestNoiseBetweenFramesCostsNoFrame(t *testing.T) {
	for name, f := range framings {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for round := range 300 {
				var all []byte
				var want []string
				for _, p := range f.payloads() {
					noise := f.noise[r.IntN(len(f.noise))]
					all = append(append(all, noise...), f.write(p)...)
					want = append(want, f.expect(p))
				}
				all = append(all, f.noise[r.IntN(len(f.noise))]...)
				if got := cutAll(t, f, broken(r, all)...); !slices.Equal(got, want) {
					t.Fatalf("round %d: from %q\ngot  %q\nwant %q", round, all, got, want)
				}
			}
		})
	}
}

func TestNoiseInsideAFrameCostsThatFrameAlone(t *testing.T) {
	for name, f := range framings {
		if name == Lines {
			continue // a line has nothing to tell it by
		}
		t.Run(name, func(t *testing.T) {
			for at := range f.write("middle") {
				for _, change := range []func([]byte) []byte{
					func(b []byte) []byte { b[at] ^= 0x55; return b },
					func(b []byte) []byte { return slices.Insert(b, at, 0xf0) },
					func(b []byte) []byte { return slices.Delete(b, at, at+1) },
					func(b []byte) []byte { return b[:at] },
				} {
					bad := change(f.write("middle"))
					all := slices.Concat(f.write("before"), bad, f.write("after"), f.write("last"))
					got := cutAll(t, f, all)
					rest := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s == f.expect("middle") })
					// A check byte of which a part is gone takes the next byte in its place.
					if len(rest) < 3 || rest[0] != f.expect("before") || rest[len(rest)-1] != f.expect("last") || rest[len(rest)-2] != f.expect("after") {
						t.Errorf("byte %d: from %q\ngot %q", at, all, got)
					}
				}
			}
		})
	}
}

func TestLengthsAreCapped(t *testing.T) {
	for name, f := range framings {
		f.cfg.MaxFrame = 64
		t.Run(name, func(t *testing.T) {
			long := strings.Repeat("x", 1100)
			all := slices.Concat(f.write("before"), f.write(long), f.write("after"))
			if name == GBT26875 {
				b := f.write("x") // the length alone says too much
				b[25] = 0x7f
				all = slices.Concat(f.write("before"), b, f.write("after"))
			}
			want := []string{f.expect("before"), f.expect("after")}
			if got := cutAll(t, f, all); !slices.Equal(got, want) {
				t.Errorf("got %q: want %q", got, want)
			}
			if got := cutAll(t, f, slices.Collect(slices.Chunk(all, 3))...); !slices.Equal(got, want) {
				t.Errorf("in pieces: got %q: want %q", got, want)
			}
		})
	}
}

func TestFrameBehindAHalfOneDoesNotWait(t *testing.T) {
	half := gbFrame(1, strings.Repeat("x", 900))[:60]
	var got []string
	s := stream{cutter: new(gbCutter)}
	take := func(c cut, _ int64) {
		if c.frame != nil {
			got = append(got, string(c.frame))
		}
	}
	s.feed(half, false, take)
	whole := gbFrame(2, "fire")
	for i := range whole {
		s.feed(whole[i:i+1], false, take)
	}
	if !slices.Equal(got, []string{string(whole)}) {
		t.Errorf("got %q before the line went quiet: want the whole frame", got)
	}
}

func TestFSCNPanelFrameIsABlock(t *testing.T) {
	f := framings[Block]
	f.cfg.Block.CheckFrom = 3 // address, control, data
	b := []byte{0x68, 4, 0, 0x11, 0x22, 0x33, 0x44, 0x11 + 0x22 + 0x33 + 0x44, 0x16}
	if got := cutAll(t, f, b); len(got) != 1 || got[0] != string(b) {
		t.Errorf("got %q", got)
	}
}

func TestBlockWithCRC16(t *testing.T) {
	f := framing{cfg: Config{Protocol: Block, Block: BlockSettings{Start: "aa55", LengthAt: 2, Adds: 5, Check: CheckCRC16}}}
	for sum, want := range map[string]int{"04f8": 1, "f804": 0} {
		b := []byte(hexed("aa5503010203" + sum))
		if got := cutAll(t, f, b); len(got) != want {
			t.Errorf("%x: got %q: want %d frames", b, got, want)
		}
	}
}

func FuzzCutters(f *testing.F) {
	names := []string{GBT26875, Lines, STXETX, Block}
	for i, name := range names {
		fr := framings[name]
		for _, p := range fr.payloads() {
			f.Add(byte(i), []byte(fr.noise[0]), fr.write(p), uint64(len(p)))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, before, middle []byte, seed uint64) {
		fr := framings[names[int(kind)%len(names)]]
		r := rand.New(rand.NewPCG(seed, 1))
		end := fr.write("the end")
		// Twice, and behind a line's end: whatever came before, the last one is found.
		all := slices.Concat(before, fr.write("a@@##b"), middle, end, []byte("\r"), end)
		got := cutAll(t, fr, broken(r, all)...)
		if len(got) == 0 || got[len(got)-1] != fr.expect("the end") {
			t.Fatalf("%q: the last frame of %q is lost: got %q", names[int(kind)%len(names)], all, got)
		}
		if again := cutAll(t, fr, all); !slices.Equal(again, got) {
			// Where a length was noise, frames inside of it are found sooner or later.
			if !bytes.HasSuffix([]byte(strings.Join(again, "")), []byte(fr.expect("the end"))) {
				t.Fatalf("in one piece: got %q: want %q", again, got)
			}
		}
	})
}

func ExampleConfig_Check() {
	fmt.Println(Config{Name: "A", Path: "/dev/ttyUSB0", Protocol: "modbus"}.Check())
	// Output:
	// name is "A": want small letters, digits, dots and dashes, at most 32: it is a part of identities
	// protocol is "modbus": want block, gbt26875, lines, modbus-rtu, stx-etx
}
