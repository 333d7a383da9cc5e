package dispatch_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gridgate/internal/dispatch"
	"gridgate/internal/gatetest"
	"gridgate/internal/grid"
)

// post is a mail server after RFC 5321 and 3207, with what goes wrong at real ones.
type post struct {
	port  int
	roots *x509.CertPool
	tls   *tls.Config

	implicit bool
	noTLS    bool              // offers no STARTTLS
	stall    string            // never answers this command
	answers  map[string]string // command → answer in place of its own
	dropQuit bool              // hangs up on QUIT
	users    string            // base64 of what AUTH PLAIN must say; "": no AUTH

	mu      sync.Mutex
	letters []*mail.Message
	bodies  []string
	clear   []string // commands that came in clear text
	done    chan struct{}
}

func newPost(t *testing.T, change ...func(*post)) *post {
	t.Helper()
	dir := t.TempDir()
	ca, key := gatetest.Issue(t, dir, "ca", nil, nil)
	gatetest.Issue(t, dir, "post", ca, key)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "post.pem"), filepath.Join(dir, "post.key"))
	if err != nil {
		t.Fatal(err)
	}
	p := &post{roots: x509.NewCertPool(), tls: &tls.Config{Certificates: []tls.Certificate{pair}}, answers: map[string]string{}, done: make(chan struct{})}
	p.roots.AddCert(ca)
	for _, f := range change {
		f(p)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.port = ln.Addr().(*net.TCPAddr).Port
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.session(c) })
		}
	})
	t.Cleanup(func() { close(p.done); ln.Close(); wg.Wait() })
	return p
}

func (p *post) session(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	p.mu.Lock()
	stall, answers := p.stall, maps.Clone(p.answers)
	p.mu.Unlock()
	secure := p.implicit
	if secure {
		c = tls.Server(c, p.tls)
	}
	in := bufio.NewReader(c)
	say := func(format string, args ...any) { fmt.Fprintf(c, format+"\r\n", args...) }
	if stall == "GREETING" {
		<-p.done
		return
	}
	say("220 post.example ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb := strings.ToUpper(strings.SplitN(strings.SplitN(line, " ", 2)[0], ":", 2)[0])
		if !secure {
			p.mu.Lock()
			p.clear = append(p.clear, line)
			p.mu.Unlock()
		}
		if verb == stall {
			<-p.done
			return
		}
		if a, ok := answers[verb]; ok {
			say("%s", a)
			continue
		}
		switch verb {
		case "EHLO", "HELO":
			if !secure && !p.noTLS {
				say("250-post.example\r\n250-STARTTLS\r\n250 8BITMIME")
			} else if p.users != "" {
				say("250-post.example\r\n250-AUTH PLAIN\r\n250 8BITMIME")
			} else {
				say("250-post.example\r\n250 8BITMIME")
			}
		case "STARTTLS":
			say("220 go ahead")
			c = tls.Server(c, p.tls)
			in, secure = bufio.NewReader(c), true
		case "AUTH":
			if strings.TrimPrefix(line, "AUTH PLAIN ") != p.users {
				say("535 5.7.8 who are you")
			} else {
				say("235 welcome")
			}
		case "DATA":
			say("354 go on")
			text, err := readDots(in)
			if err != nil {
				return
			}
			if a, ok := answers["."]; ok {
				say("%s", a)
				continue
			}
			m, err := mail.ReadMessage(strings.NewReader(text))
			if err != nil {
				say("554 not a letter: %v", err)
				continue
			}
			b, _ := io.ReadAll(quotedprintable.NewReader(m.Body))
			p.mu.Lock()
			p.letters, p.bodies = append(p.letters, m), append(p.bodies, string(b))
			p.mu.Unlock()
			say("250 2.0.0 taken")
		case "QUIT":
			if !p.dropQuit {
				say("221 bye")
			}
			return
		default:
			say("250 ok")
		}
	}
}

func readDots(in *bufio.Reader) (string, error) {
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return text.String(), nil
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (p *post) ids() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.letters {
		id, _, _ := strings.Cut(strings.Trim(m.Header.Get("Message-ID"), "<>"), "@")
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func mailTo(t *testing.T, p *post, settings map[string]string, change ...func(*dispatch.MailConfig)) *dispatch.Mail {
	t.Helper()
	cfg := dispatch.MailConfig{Host: "127.0.0.1", Port: p.port, Implicit: p.implicit, From: "gridgate <alarm@gridgate.example>", TLS: &tls.Config{RootCAs: p.roots}}
	for _, f := range change {
		f(&cfg)
	}
	if settings == nil {
		settings = map[string]string{"to": "duty@unit.example, Second <lead@unit.example>"}
	}
	m, err := dispatch.NewMail(cfg, reach(grid.Unit{Connector: "mail", Settings: settings}))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMailKeepsThePromiseOfAConnector(t *testing.T) {
	for _, implicit := range []bool{false, true} {
		t.Run(fmt.Sprint("implicit TLS ", implicit), func(t *testing.T) {
			gatetest.TestConnector(t, func(t *testing.T) gatetest.ConnectorRig {
				p := newPost(t, func(p *post) { p.implicit = implicit })
				return gatetest.ConnectorRig{
					Connector: mailTo(t, p, nil), Unit: "fire-1", Received: p.ids,
					Refuse: func() { p.mu.Lock(); defer p.mu.Unlock(); p.answers["."] = "451 4.3.0 disk full" },
					Hang:   func() { p.mu.Lock(); defer p.mu.Unlock(); p.stall = "DATA" },
				}
			})
		})
	}
}

func TestMailSaysWhatTheTicketSays(t *testing.T) {
	p := newPost(t, func(p *post) { p.users = base64.StdEncoding.EncodeToString([]byte("\x00gg\x00pw")) })
	c := mailTo(t, p, nil, func(c *dispatch.MailConfig) { c.Username, c.Password = "gg", "pw" })
	now := func(m *dispatch.Message) { m.Delivery.Created = time.Now() }
	first, again := delivered("D1", "ticket.opened", now), delivered("D1", "ticket.opened", now)
	again.Attempts = 2
	for _, d := range []grid.Delivery{first, again} {
		r, err := c.Deliver(t.Context(), d)
		if err != nil || !r.Carried || r.Status != 250 || !strings.Contains(r.Ref, "D1@gridgate.example") {
			t.Fatal(r, err)
		}
	}
	var subjects []string
	for i, m := range p.letters {
		s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil {
			t.Fatal(err)
		}
		subjects = append(subjects, s)
		if id := m.Header.Get("Message-ID"); id != "<D1@gridgate.example>" || m.Header.Get("References") != "<01T@gridgate.example>" || m.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("letter %d: %v", i, m.Header)
		}
		for _, part := range []string{"烟感报警", "Smoke alarm", "301", "https://gridgate.example/tickets/01T"} {
			if !strings.Contains(p.bodies[i], part) {
				t.Errorf("letter %d does not say %q: %s", i, part, p.bodies[i])
			}
		}
	}
	if want := []string{"【模拟】P1 新工单: 烟感报警 CN-1", "【模拟】【重复】P1 新工单: 烟感报警 CN-1"}; !slices.Equal(subjects, want) {
		t.Errorf("subjects are %q, want %q", subjects, want)
	}
	for _, line := range p.clear {
		if !strings.HasPrefix(line, "EHLO") && line != "STARTTLS" {
			t.Errorf("%q went in clear text", line)
		}
	}
}

func TestMailWithALinkAloneNamesNoRoom(t *testing.T) {
	p := newPost(t)
	if _, err := mailTo(t, p, map[string]string{"to": "a@unit.example", "detail": "link"}).Deliver(t.Context(), delivered("D1", "ticket.opened")); err != nil {
		t.Fatal(err)
	}
	if b := p.bodies[0]; strings.Contains(b, "301") || strings.Contains(b, "天山路") || !strings.Contains(b, "/tickets/01T") {
		t.Errorf("letter is %s", b)
	}
}

func TestMailRefusesWhatIsNotSafe(t *testing.T) {
	d := delivered("D1", "ticket.opened")
	for name, c := range map[string]struct {
		post func(*post)
		cfg  func(*dispatch.MailConfig)
		want string
	}{
		"no STARTTLS":            {post: func(p *post) { p.noTLS = true }, want: "STARTTLS"},
		"STARTTLS is refused":    {post: func(p *post) { p.answers["STARTTLS"] = "454 TLS not available" }},
		"an unknown certificate": {cfg: func(c *dispatch.MailConfig) { c.TLS = nil }, want: "certificate"},
		"no verification":        {cfg: func(c *dispatch.MailConfig) { c.TLS = &tls.Config{InsecureSkipVerify: true} }, want: "certificate"},
		"a wrong password":       {post: func(p *post) { p.users = "x" }, cfg: func(c *dispatch.MailConfig) { c.Username, c.Password = "gg", "TOPSECRET" }},
		"busy":                   {post: func(p *post) { p.answers["MAIL"] = "421 4.7.0 too many" }},
		"not a server":           {post: func(p *post) { p.answers["EHLO"] = "HTTP/1.1 400 Bad Request"; p.answers["HELO"] = "HTTP/1.1 400" }},
	} {
		var changes []func(*post)
		if c.post != nil {
			changes = append(changes, c.post)
		}
		p := newPost(t, changes...)
		cfg := func(*dispatch.MailConfig) {}
		if c.cfg != nil {
			cfg = c.cfg
		}
		_, err := mailTo(t, p, nil, cfg).Deliver(t.Context(), d)
		if err == nil || errors.Is(err, dispatch.ErrNever) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "TOPSECRET") {
			t.Errorf("%s: %v", name, err)
		}
		if len(p.letters) > 0 {
			t.Errorf("%s: the letter was sent", name)
		}
		for _, line := range p.clear {
			if strings.HasPrefix(line, "MAIL") || strings.HasPrefix(line, "AUTH") {
				t.Errorf("%s: %q went in clear text", name, line)
			}
		}
	}
}

func TestMailToNobodyIsNotTriedAgain(t *testing.T) {
	for answer, never := range map[string]bool{"550 5.1.1 no such user": true, "553 5.1.3 bad address": true, "450 4.2.0 greylisted": false, "552 5.2.2 mailbox full": false} {
		p := newPost(t, func(p *post) { p.answers["RCPT"] = answer })
		_, err := mailTo(t, p, nil).Deliver(t.Context(), delivered("D1", "ticket.opened"))
		if err == nil || errors.Is(err, dispatch.ErrNever) != never {
			t.Errorf("%s: %v, want never again: %v", answer, err, never)
		}
	}
}

func TestMailThatIsTakenIsSentHoweverTheyPart(t *testing.T) {
	p := newPost(t, func(p *post) { p.dropQuit = true })
	if r, err := mailTo(t, p, nil).Deliver(t.Context(), delivered("D1", "ticket.opened")); err != nil || len(p.ids()) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestMailEndsWithItsContextWhereverTheServerStalls(t *testing.T) {
	for _, stall := range []string{"GREETING", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA"} {
		p := newPost(t, func(p *post) { p.stall = stall })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := mailTo(t, p, nil).Deliver(ctx, delivered("D1", "ticket.opened")); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", stall, err)
		}
	}
}

func TestMailCheckNamesWhatIsWrong(t *testing.T) {
	m := mailTo(t, newPost(t), nil)
	for want, u := range map[string]grid.Unit{
		"setting to":     {ID: "u", Settings: map[string]string{"to": "nobody"}},
		`setting "cc"`:   {ID: "u", Settings: map[string]string{"to": "a@b.example", "cc": "x"}},
		"setting detail": {ID: "u", Settings: map[string]string{"to": "a@b.example", "detail": "all"}},
		"uses none":      {ID: "u", URL: "https://x", Settings: map[string]string{"to": "a@b.example"}},
	} {
		if err := m.Check(u); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that says %q", err, want)
		}
	}
	if err := m.Check(grid.Unit{Settings: map[string]string{"to": "a@b.example\r\nBcc: c@d.example"}}); err == nil {
		t.Error("a header can be smuggled in")
	}
	if _, err := dispatch.NewMail(dispatch.MailConfig{Host: "h", Port: 25, From: "nobody"}, dispatch.Reach{}); err == nil {
		t.Error("any sender will do")
	}
}
