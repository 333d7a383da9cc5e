package dispatch

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"gridgate/internal/grid"
)

// MailConfig is the mail server that letters are handed to: ours, or that of a provider.
// Units name recipients alone, so its address is not a unit's to choose.
type MailConfig struct {
	Host     string
	Port     int
	Implicit bool // TLS from the first byte (port 465); else STARTTLS, without which nothing is sent
	Username string
	Password string
	From     string // one address
	Hello    string // what we call ourselves; "" is the machine's name
	TLS      *tls.Config
}

// Mail delivers by e-mail. What a mail server takes is sent, which does not say that it
// arrives. A letter keeps its Message-ID over all its tries, and one that may be there
// already says so in its subject.
type Mail struct {
	cfg   MailConfig
	reach Reach
	now   func() time.Time
}

// NewMail makes the connector.
func NewMail(cfg MailConfig, r Reach) (*Mail, error) {
	if _, err := mail.ParseAddress(cfg.From); err != nil {
		return nil, grid.Errorf(grid.Invalid, "from is %q: want one address: %w", cfg.From, err)
	}
	if cfg.Host == "" || cfg.Port < 1 || cfg.Port > 65535 {
		return nil, grid.Errorf(grid.Invalid, "server is %s:%d: want host:port", cfg.Host, cfg.Port)
	}
	now := r.Now
	if now == nil {
		now = time.Now
	}
	return &Mail{cfg, r, now}, nil
}

// mostRecipients of one unit.
const mostRecipients = 20

// Check says what is wrong with a unit's entry in the registry.
func (m *Mail) Check(u grid.Unit) error {
	errs := []error{onlySettings(u, "to", "detail")}
	to, err := mail.ParseAddressList(u.Settings["to"])
	if err != nil || len(to) > mostRecipients {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: setting to is %q: want 1 to %d addresses, with commas between", u.ID, u.Settings["to"], mostRecipients))
	}
	if d := u.Settings["detail"]; d != "" && d != "place" && d != "link" {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: setting detail is %q: want place (default), or link: no place smaller than a building", u.ID, d))
	}
	if u.URL != "" || u.Secret != "" {
		errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: url or secret is set: connector mail uses none", u.ID))
	}
	return errors.Join(errs...)
}

// Deliver hands the letter to the mail server.
func (m *Mail) Deliver(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
	u, err := m.reach.addressee(ctx, d)
	if err != nil {
		return grid.Receipt{}, err
	}
	if err := m.Check(u); err != nil {
		return grid.Receipt{}, fmt.Errorf("%w: %w", errOurs, err)
	}
	letter, err := m.letter(u, d)
	if err != nil {
		return grid.Receipt{}, err
	}
	began := time.Now()
	err = m.send(ctx, letter)
	r := grid.Receipt{Took: time.Since(began), Carried: true}
	var refused *gomail.SendError
	switch {
	case err == nil:
		r.Status, r.Ref = 250, letter.GetMessageID()
		return r, nil
	case ctx.Err() != nil:
		return r, fmt.Errorf("mail server: %w", ctx.Err())
	case errors.As(err, &refused):
		r.Status = refused.ErrorCode()
		if c := r.Status; c == 550 || c == 551 || c == 553 { // no such mailbox: RFC 5321, 4.2.3
			return r, fmt.Errorf("%w: mail server: %s", ErrNever, printable(err.Error(), detailLimit))
		}
	}
	return r, fmt.Errorf("mail server: %s", printable(err.Error(), detailLimit))
}

// Probe logs in to the mail server and sends nothing. Whether the mailbox is there only a
// letter tells.
func (m *Mail) Probe(ctx context.Context, u grid.Unit) error {
	if err := m.Check(u); err != nil {
		return err
	}
	return m.send(ctx, nil)
}

// letter is a pure function of unit, delivery and our clock.
func (m *Mail) letter(u grid.Unit, d grid.Delivery) (*gomail.Msg, error) {
	b, err := read(d)
	if err != nil {
		return nil, err
	}
	out := gomail.NewMsg(gomail.WithCharset(gomail.CharsetUTF8))
	if err := out.From(m.cfg.From); err != nil {
		return nil, fmt.Errorf("%w: from: %w", errOurs, err)
	}
	if err := out.ToFromString(u.Settings["to"]); err != nil {
		return nil, fmt.Errorf("%w: unit %s: to: %w", errOurs, u.ID, err)
	}
	mark := ""
	if d.Mode != grid.Live {
		mark = modesZH[d.Mode]
	}
	if d.Attempts > 0 || m.now().Sub(d.Created) > repeatAfter {
		mark += "【重复】"
	}
	zh, en := languages(b.Title)
	out.Subject(printable(fmt.Sprintf("%s%s %s: %s %s", mark, b.Priority, typesZH[d.Type], zh, cmp.Or(b.Case, b.Ticket)), 300))
	domain := m.cfg.From[strings.LastIndexByte(m.cfg.From, '@')+1:]
	domain = strings.TrimSuffix(domain, ">")
	out.SetMessageIDWithValue(d.ID + "@" + domain)
	out.SetGenHeader(gomail.HeaderReferences, "<"+capToken(cmp.Or(b.Ticket, d.ID))+"@"+domain+">") // readers keep a ticket's letters together
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	out.SetDateWithValue(d.Created)
	if b.Priority == "P1" {
		out.SetImportance(gomail.ImportanceUrgent)
	}
	where := b.Place.Words
	if u.Settings["detail"] == "link" {
		where = strings.TrimSpace(b.Place.Building + " " + b.Place.Cell)
		b.Note = ""
	}
	lines := []string{mark + zh, en, "", where, b.Priority + " " + typesZH[d.Type] + " " + strings.TrimPrefix(d.Type, "ticket."), cmp.Or(b.Case, b.Ticket)}
	for _, l := range []string{b.Note, b.Link} {
		if l != "" {
			lines = append(lines, l)
		}
	}
	out.SetBodyString(gomail.TypeTextPlain, strings.Join(lines, "\r\n")+"\r\n")
	return out, nil
}

// send is one session with the server, without a letter a login alone. It ends with ctx, and its connection with it:
// the library closes none that ends in an error.
func (m *Mail) send(ctx context.Context, letter *gomail.Msg) error {
	config := Reach{TLS: m.cfg.TLS}.tlsConfig()
	config.ServerName = m.cfg.Host
	closeConn := func() {}
	defer func() { closeConn() }()
	dial := func(dialCtx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(dialCtx, network, address)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		closeConn = func() { stop(); c.Close() }
		if m.cfg.Implicit {
			return tls.Client(c, config), nil
		}
		return c, nil
	}
	options := []gomail.Option{
		gomail.WithPort(m.cfg.Port), gomail.WithTLSPolicy(gomail.TLSMandatory), gomail.WithTLSConfig(config),
		gomail.WithTimeout(time.Minute), gomail.WithDialContextFunc(dial), gomail.WithoutNoop(),
	}
	if m.cfg.Implicit {
		options = append(options, gomail.WithSSL())
	}
	if m.cfg.Hello != "" {
		options = append(options, gomail.WithHELO(m.cfg.Hello))
	}
	if m.cfg.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.cfg.Username), gomail.WithPassword(m.cfg.Password))
	}
	client, err := gomail.NewClient(m.cfg.Host, options...)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	if letter != nil {
		if err := client.SendWithSMTPClient(session, letter); err != nil {
			return err
		}
	}
	_ = client.CloseWithSMTPClient(session) // QUIT: the letter is taken, however they part
	return nil
}
