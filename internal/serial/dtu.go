package serial

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"time"

	"gridgate/internal/grid"
)

const (
	// registerWithin is how long a serial server that calls may take to say who it is: some do
	// so with their heartbeat alone.
	registerWithin = time.Minute
	// registerQuiet is the silence that ends what it says of itself, maxRegistration how much
	// that may be.
	registerQuiet, maxRegistration = 300 * time.Millisecond, 512
)

// serialServer serves a serial server that called us: its slaves are asked over the
// connection. What it sends of its own accord, heartbeats for example, is no answer and does
// no harm.
func (t *Transport) serialServer(ctx context.Context, c net.Conn, host string) {
	l := newLine(tcpPort{c})
	defer l.close()
	p := &peer{t: t, remote: host, name: c.RemoteAddr().String(), since: t.cfg.Now().UTC()}
	t.enters(p)
	defer t.leaves(p)
	b, err := t.registered(ctx, l, p)
	if err != nil {
		if ctx.Err() == nil {
			p.damage(err)
		}
		return
	}
	if b == nil {
		return
	}
	err = t.master(ctx, l, b)
	t.silenced(b)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errNewerCall): // or two call us by one name, or by none
		t.tally.Fault("serial server called again", grid.Errorf(grid.Unavailable, "serial %s: %s: %w", t.cfg.Name, host, err))
	default:
		t.log.Info("serial server is gone", "in", host, "err", err)
	}
}

// silenced notes that nobody reaches the slaves of a bus.
func (t *Transport) silenced(b *bus) {
	if b.serving() {
		return // by a newer connection
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range b.slaves {
		if s.status.Up {
			s.status.Up, s.status.Since = false, t.cfg.Now().UTC()
		}
	}
}

// registered finds the slaves of a serial server by what it calls itself; where nothing is
// said of that all slaves are behind whoever calls. nil: ctx is done.
func (t *Transport) registered(ctx context.Context, l *line, p *peer) (*bus, error) {
	if t.register == nil {
		return t.buses[0], nil
	}
	end, quiet := time.NewTimer(registerWithin), time.NewTimer(registerWithin)
	defer end.Stop()
	defer quiet.Stop()
	var said []byte
	for all := 0; ; {
		select {
		case b, ok := <-l.in:
			if !ok {
				return nil, l.why()
			}
			t.bytesIn.Add(uint64(len(b)))
			if all += len(b); all > maxRegistration {
				return nil, grid.Errorf(grid.Invalid, "a serial server from %s sent %d bytes and no name in them, as register wants", p.remote, all)
			}
			said = append(said, b...)
			quiet.Reset(registerQuiet)
		case <-quiet.C:
			if name := t.nameIn(said); name != "" {
				return t.behind(name, p)
			}
			said = said[:0]
		case <-end.C:
			return nil, grid.Errorf(grid.Invalid, "a serial server from %s did not say its name within %s, as register wants", p.remote, registerWithin)
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// nameIn reads the name of a serial server out of what it sent. What is no text is read in
// hexadecimal.
func (t *Transport) nameIn(said []byte) string {
	text := bytes.TrimSpace(said)
	for _, c := range text {
		if (c < ' ' || c > '~') && c != '\t' && c != '\r' && c != '\n' {
			text = []byte(hex.EncodeToString(said))
			break
		}
	}
	if m := t.register.FindSubmatch(text); m != nil {
		return strings.ToLower(string(m[1]))
	}
	return ""
}

func (t *Transport) behind(name string, p *peer) (*bus, error) {
	for _, b := range t.buses {
		if b.dtu == name {
			t.mu.Lock()
			p.detail = "serial server " + name
			t.mu.Unlock()
			return b, nil
		}
	}
	return nil, grid.Errorf(grid.NotFound, "a serial server from %s calls itself %.64q: want one that is the dtu of a slave", p.remote, name)
}

// stranger reports why a connection that somebody made to us is not worth having: too much
// came that is no answer, or nothing for long. Whoever calls from behind a network that
// forgot the call is not heard any more, and calls again.
func (m *master) stranger() error {
	if m.t.cfg.Listen == "" {
		return nil
	}
	if m.unframed > maxGarbage {
		return grid.Errorf(grid.Invalid, "%d bytes came without an answer", m.unframed)
	}
	if silent := time.Since(m.came); silent > m.t.cfg.Idle {
		return grid.Errorf(grid.Unavailable, "nothing came for %s", m.t.cfg.Idle)
	}
	return nil
}
