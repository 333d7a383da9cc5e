package fault

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// far is a UDP server that says back what it hears, and from whom it came.
func far(t *testing.T) (addr string, heard chan string, from chan string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard, from = make(chan string, 4096), make(chan string, 4096)
	var work sync.WaitGroup
	work.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, who, err := conn.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				heard <- string(buf[:n])
				from <- who.String()
				conn.WriteTo(buf[:n], who)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); work.Wait() })
	return conn.LocalAddr().String(), heard, from
}

func udpLink(t *testing.T, seed uint64) (u *UDP, device net.Conn, heard, from chan string) {
	t.Helper()
	addr, heard, from := far(t)
	u, err := OpenUDP(addr, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.Close)
	device, err = net.Dial("udp", u.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	device.SetDeadline(time.Now().Add(20 * time.Second))
	return u, device, heard, from
}

func say(t *testing.T, c io.Writer, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, heard chan string, want string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Fatalf("heard %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("heard nothing, want %q", want)
	}
}

// last sends a word over a good link: what was sent before it has come or never will.
func last(t *testing.T, u *UDP, device net.Conn, heard chan string) (before []string) {
	t.Helper()
	u.Change(func(c *Conditions) { *c = Conditions{} })
	say(t, device, "last")
	for {
		select {
		case got := <-heard:
			if got == "last" {
				return before
			}
			before = append(before, got)
		case <-time.After(10 * time.Second):
			t.Fatal("the last word has not come")
		}
	}
}

func TestADatagramIsLostByTheSeed(t *testing.T) {
	lost := func(seed uint64) (out []string) {
		silent, err := net.ListenPacket("udp", "127.0.0.1:0") // an answer would count as well
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		u, err := OpenUDP(silent.LocalAddr().String(), seed)
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		device, err := net.Dial("udp", u.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer device.Close()
		u.Change(func(c *Conditions) { c.Loss = 0.3 })
		for i := range 200 {
			say(t, device, string(rune('a'+i%26)))
			for u.counts.Carried.Load()+u.counts.Lost.Load() < int64(i+1) {
				time.Sleep(time.Microsecond)
			}
		}
		silent.SetReadDeadline(time.Now().Add(10 * time.Second))
		buf := make([]byte, 10)
		for range u.counts.Carried.Load() {
			n, _, err := silent.ReadFrom(buf)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(buf[:n]))
		}
		return out
	}
	a, b, other := lost(1), lost(1), lost(2)
	if len(a) < 110 || len(a) > 170 {
		t.Errorf("%d of 200 have come through a loss of 30 %%", len(a))
	}
	if !slices.Equal(a, b) || slices.Equal(a, other) {
		t.Errorf("%v, %v and of another seed %v have come: want the same for the same seed", a, b, other)
	}
}

func TestADatagramComesTwice(t *testing.T) {
	u, device, heard, _ := udpLink(t, 1)
	u.Change(func(c *Conditions) { c.Duplicate = 1 })
	say(t, device, "x")
	hear(t, heard, "x")
	hear(t, heard, "x")
}

func TestADatagramIsOvertakenByTheNext(t *testing.T) {
	u, device, heard, _ := udpLink(t, 1)
	u.Change(func(c *Conditions) { c.Reorder = 1 })
	say(t, device, "first")
	say(t, device, "second")
	hear(t, heard, "second")
	hear(t, heard, "first")
	say(t, device, "alone") // nothing comes after it: it is not lost
	hear(t, heard, "alone")
}

func TestADatagramIsLateAndNotBeforeItsTime(t *testing.T) {
	u, device, heard, _ := udpLink(t, 1)
	const delay = 60 * time.Millisecond
	u.Change(func(c *Conditions) { c.Delay, c.Jitter = delay, delay })
	sent := time.Now()
	say(t, device, "x")
	hear(t, heard, "x")
	if took := time.Since(sent); took < delay {
		t.Errorf("it took %s, want %s at least", took, delay)
	}
}

func TestOneBitOfADatagramIsTurned(t *testing.T) {
	u, device, heard, _ := udpLink(t, 1)
	u.Change(func(c *Conditions) { c.Corrupt = 1 })
	say(t, device, "abcdefgh")
	got := <-heard
	bits := 0
	for i := range got {
		for x := got[i] ^ "abcdefgh"[i]; x != 0; x &= x - 1 {
			bits++
		}
	}
	if bits != 1 {
		t.Errorf("%q differs by %d bits, want 1", got, bits)
	}
}

func TestNothingPassesABlackHole(t *testing.T) {
	u, device, heard, _ := udpLink(t, 1)
	say(t, device, "before")
	hear(t, heard, "before")
	u.Change(func(c *Conditions) { c.BlackHole = true })
	say(t, device, "never")
	for u.counts.Lost.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := last(t, u, device, heard); len(got) != 0 {
		t.Errorf("%q has come through a black hole", got)
	}
}

func TestASessionHasANewSourcePortAfterTheNATForgetsIt(t *testing.T) {
	u, device, heard, from := udpLink(t, 1)
	say(t, device, "one")
	hear(t, heard, "one")
	before := <-from
	u.Rebind()
	say(t, device, "two")
	hear(t, heard, "two")
	if after := <-from; after == before {
		t.Errorf("it still comes from %s", after)
	}
	// Answers to the new port find the device.
	buf := make([]byte, 10)
	for _, want := range []string{"one", "two"} {
		n, err := device.Read(buf)
		if err == nil && string(buf[:n]) != want && want == "one" {
			want, n = "two", copy(buf, "two") // the answer to the old port may be lost
			if n == 3 {
				return
			}
		}
		if err != nil || string(buf[:n]) != want {
			t.Fatalf("answer is %q (%v), want %q", buf[:n], err, want)
		}
	}
}

// echo is a TCP server that says back what it hears.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				stop := context.AfterFunc(ctx, func() { c.Close() })
				defer stop()
				defer c.Close()
				io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); work.Wait() })
	return l.Addr().String()
}

func tcpLink(t *testing.T) (*TCP, func() net.Conn) {
	t.Helper()
	link, err := OpenTCP(echo(t), 7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return link, func() net.Conn {
		c, err := net.Dial("tcp", link.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	}
}

func read(t *testing.T, c io.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAGoodLinkChangesNoByte(t *testing.T) {
	link, dial := tcpLink(t)
	c := dial()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	var writing sync.WaitGroup
	writing.Go(func() {
		c.Write(sent)
		c.(*net.TCPConn).CloseWrite()
	})
	got, err := io.ReadAll(c)
	writing.Wait()
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes of %d came back (%v)", len(got), len(sent), err)
	}
	if link.Counts().Lost.Load()+link.Counts().Corrupted.Load()+link.Counts().Reset.Load() != 0 {
		t.Error("a good link did something")
	}
}

func TestLossAndDelayOnTCPAreTimeAndNothingElse(t *testing.T) {
	link, dial := tcpLink(t)
	c := dial()
	const delay = 30 * time.Millisecond
	link.Change(func(x *Conditions) { x.Delay, x.Jitter, x.Loss, x.Bandwidth = delay, delay, 0.3, 1<<20 })
	began := time.Now()
	for _, word := range []string{"one", "two", "three", "four"} {
		say(t, c, word)
		if got := string(read(t, c, len(word))); got != word {
			t.Fatalf("%q came back as %q", word, got)
		}
	}
	if took := time.Since(began); took < 8*delay {
		t.Errorf("four words there and back took %s, want %s at least", took, 8*delay)
	}
	if link.Counts().Lost.Load() == 0 {
		t.Error("no segment was lost at 30 %")
	}
}

func TestBytesAreCorruptedAsAnApplicationReadsThem(t *testing.T) {
	link, dial := tcpLink(t)
	c := dial()
	link.Change(func(x *Conditions) { x.Corrupt = 1 })
	say(t, c, "abcdefgh")
	if got := read(t, c, 8); string(got) == "abcdefgh" && link.Counts().Corrupted.Load() < 2 {
		t.Errorf("%q came back unchanged", got)
	}
}

func TestACutLinkResetsWhatIsConnectedAndWhatCallsNow(t *testing.T) {
	link, dial := tcpLink(t)
	c := dial()
	say(t, c, "x")
	read(t, c, 1)
	link.Change(func(x *Conditions) { x.Cut = true })
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read says %v, want a reset", err)
	}
	again, err := net.Dial("tcp", link.Addr())
	if err == nil {
		again.SetDeadline(time.Now().Add(10 * time.Second))
		again.Write([]byte("x"))
		if _, err := again.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a new connection reads %v, want a reset", err)
		}
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a new connection says %v, want a reset", err)
	}
	link.Change(func(x *Conditions) { x.Cut = false })
	whole := dial()
	say(t, whole, "y")
	read(t, whole, 1)
}

func TestAHalfOpenConnectionIsSilentAndGoesOnAfterwards(t *testing.T) {
	link, dial := tcpLink(t)
	c := dial()
	say(t, c, "x")
	read(t, c, 1)
	link.Change(func(x *Conditions) { x.BlackHole = true })
	say(t, c, "y")
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
		t.Fatalf("%d bytes and %v out of a black hole", n, err)
	}
	fresh := dial() // is taken, as far as it can tell, and hears nothing
	fresh.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	say(t, fresh, "z")
	if _, err := fresh.Read(make([]byte, 1)); !isTimeout(err) {
		t.Fatalf("a new connection says %v in a black hole", err)
	}
	link.Change(func(x *Conditions) { x.BlackHole = false })
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got := read(t, c, 1); got[0] != 'y' {
		t.Errorf("%q came after the black hole, want y", got)
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func TestAConnectionEndsAfterSoManyBytes(t *testing.T) {
	link, dial := tcpLink(t)
	link.Change(func(x *Conditions) { x.After = 15 })
	c := dial()
	say(t, c, "0123456789") // ten there, five back
	got, err := io.ReadAll(c)
	if len(got) > 5 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%q and %v came back, want five bytes at most and the end", got, err)
	}
	link.Change(func(x *Conditions) { x.After = 0 })
	whole := dial()
	say(t, whole, "0123456789abcdefghij")
	read(t, whole, 20)
}
