package fault

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// Lines are serial lines that can be unplugged and that can be noisy: pseudo-terminals, each
// with a link to the end that the gateway opens.
type Lines struct {
	path func(name string) string
	seed uint64

	mu    sync.Mutex
	lines map[string]*line
}

// line is one of them; under Lines.mu.
type line struct {
	path      string
	pty       *simulator.PTY // nil: nobody has opened it, or it is unplugged
	next      *simulator.PTY // what it comes as, or comes back as
	laid      bool           // next stands at path already
	noise     float64
	unplugged bool
	dice      *rand.Rand
}

// NewLines makes lines whose links stand where path says.
func NewLines(path func(name string) string, seed uint64) *Lines {
	return &Lines{path: path, seed: seed, lines: map[string]*line{}}
}

func (l *Lines) line(name string) *line {
	x := l.lines[name]
	if x == nil {
		x = &line{path: l.path(name), dice: chance(l.seed, name)}
		l.lines[name] = x
	}
	return x
}

// Open opens our end of a line. While it is unplugged there is none.
func (l *Lines) Open(name string) (io.ReadWriteCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.line(name)
	if x.unplugged {
		return nil, grid.Errorf(grid.Unavailable, "line %s is unplugged", name)
	}
	pty, next := x.next, x.path+".next"
	var err error
	if pty != nil {
		x.next = nil
		if !x.laid {
			err = os.Rename(next, x.path)
		}
		x.laid = false
	} else {
		pty, err = simulator.OpenPTY(x.path)
	}
	if err != nil {
		return nil, err
	}
	x.pty = pty
	return &port{PTY: pty, all: l, line: x}, nil
}

// Lay makes a line before anybody opens our end: a gateway that starts finds it.
func (l *Lines) Lay(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.line(name)
	if x.pty != nil || x.next != nil {
		return nil
	}
	pty, err := simulator.OpenPTY(x.path)
	x.next, x.laid = pty, err == nil
	return err
}

// Unplug takes a line out: whoever has it open hears that it is gone, and its link too.
func (l *Lines) Unplug(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.line(name)
	if x.next != nil && x.laid { // nobody has opened our end
		x.next.Close()
		x.next, x.laid = nil, false
	}
	if x.unplugged {
		return grid.Errorf(grid.Conflict, "line %s is unplugged already", name)
	}
	// What it comes back as is made before it goes: so it is another one.
	next, err := simulator.OpenPTY(x.path + ".next")
	if err != nil {
		return err
	}
	x.next, x.unplugged = next, true
	if x.pty == nil {
		return nil
	}
	err = x.pty.Close()
	os.Remove(x.path) // one that came back once has left it
	x.pty = nil
	return err
}

// Plug puts it in again, as another pseudo-terminal under the same link.
func (l *Lines) Plug(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line(name).unplugged = false
}

// Noise turns a bit in this share of the bytes, both ways; 0 is a quiet line.
func (l *Lines) Noise(name string, share float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line(name).noise = share
}

// Close lets go of what nobody has come back to.
func (l *Lines) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	for _, x := range l.lines {
		if x.next != nil {
			err = errors.Join(err, x.next.Close())
			x.next = nil
		}
	}
	return err
}

// port is our end of a line, with its noise.
type port struct {
	*simulator.PTY
	all  *Lines
	line *line
}

func (p *port) Read(b []byte) (int, error) {
	n, err := p.PTY.Read(b)
	copy(b, p.noisy(b[:n]))
	return n, err
}

func (p *port) Write(b []byte) (int, error) { return p.PTY.Write(p.noisy(b)) }

// noisy returns what comes out at the other end.
func (p *port) noisy(b []byte) []byte {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	if p.line.noise <= 0 {
		return b
	}
	out := append([]byte(nil), b...)
	for i := range out {
		if p.line.dice.Float64() < p.line.noise {
			out[i] ^= 1 << p.line.dice.IntN(8)
		}
	}
	return out
}

// Close ends our end.
func (p *port) Close() error {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	if p.line.pty != p.PTY { // unplugged: it is closed
		return nil
	}
	p.line.pty = nil
	err := p.PTY.Close()
	os.Remove(p.line.path)
	return err
}
