package dispatch

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gridgate/internal/grid"
)

// CAPContentType of an alert.
const CAPContentType = "application/cap+xml"

const capTime = "2006-01-02T15:04:05-07:00" // no Z, no fractions: CAP 1.2, 3.3.2

// CAPConfig of a CAP connector and its feed.
type CAPConfig struct {
	Reach
	Table *CAPTable
	// Earlier gives the messages of the same ticket to the same unit that came before d,
	// oldest first.
	Earlier func(ctx context.Context, d grid.Delivery) ([]grid.Delivery, error)
	// Delivery and Recent read what was published; Recent newest first, of one unit or, for "", of all.
	Delivery func(ctx context.Context, id string) (grid.Delivery, error)
	Recent   func(ctx context.Context, unit string) ([]grid.Delivery, error)
}

// CAP delivers tickets as alerts of the Common Alerting Protocol 1.2, by POST where the unit
// has a URL, and always by the feed. The identifier of an alert is that of its delivery, and
// the same delivery gives the same bytes: a receiver that keeps identifiers apart gets
// every alert once.
type CAP struct {
	cfg    CAPConfig
	client *http.Client
}

// NewCAP makes the connector. Close frees its connections.
func NewCAP(cfg CAPConfig) *CAP {
	return &CAP{cfg: cfg, client: newClient(cfg.Allow, cfg.TLS)}
}

// Close frees idle connections.
func (c *CAP) Close() { c.client.CloseIdleConnections() }

// Check says what is wrong with a unit's entry in the registry.
func (c *CAP) Check(u grid.Unit) error {
	if u.URL != "" {
		if _, err := webAddress(u); err != nil {
			return err
		}
		if _, err := sign(Secrets(u), grid.Delivery{}, time.Time{}); u.Secret != "" && err != nil {
			return fmt.Errorf("unit %s: %w", u.ID, err)
		}
	}
	return onlySettings(u)
}

// Deliver posts the alert of d. nil: the unit answered 2xx, or it has no URL and reads the feed.
func (c *CAP) Deliver(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
	u, err := c.cfg.addressee(ctx, d)
	if err != nil {
		return grid.Receipt{}, err
	}
	alert, err := c.alert(ctx, d)
	if err != nil {
		return grid.Receipt{}, err
	}
	if u.URL == "" {
		return grid.Receipt{Detail: "published in the feed"}, ctx.Err()
	}
	if _, err := webAddress(u); err != nil {
		return grid.Receipt{}, fmt.Errorf("%w: %w", errOurs, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.URL, bytes.NewReader(alert))
	if err != nil {
		return grid.Receipt{}, grid.Errorf(grid.Invalid, "unit %s: request: %w", u.ID, bare(err))
	}
	req.Header.Set("Content-Type", CAPContentType)
	req.Header.Set("User-Agent", "gridgate")
	req.Header.Set("Idempotency-Key", d.ID)
	if u.Secret != "" {
		if err := signRequest(req, Secrets(u), d.ID, alert, time.Now()); err != nil {
			return grid.Receipt{}, fmt.Errorf("unit %s: %w: %w", u.ID, errOurs, err)
		}
	}
	return post(ctx, c.client, u.ID, req)
}

// signRequest adds the headers of Standard Webhooks over body.
func signRequest(req *http.Request, secrets []string, id string, body []byte, at time.Time) error {
	signature, err := sign(secrets, grid.Delivery{ID: id, Body: body}, at)
	if err != nil {
		return err
	}
	req.Header.Set(webhooks.HeaderWebhookID, id)
	req.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(webhooks.HeaderWebhookSignature, signature)
	return nil
}

// post makes a request whose status alone is the answer.
func post(ctx context.Context, client *http.Client, unit string, req *http.Request) (grid.Receipt, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return grid.Receipt{Took: time.Since(began)}, fmt.Errorf("unit %s: %w", unit, bare(err))
	}
	defer resp.Body.Close()
	defer time.AfterFunc(answerWait, cancel).Stop()
	r := receipt(resp)
	r.Took = time.Since(began)
	return r, verdict(unit, resp)
}

func (c *CAP) alert(ctx context.Context, d grid.Delivery) ([]byte, error) {
	earlier, err := c.cfg.Earlier(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("earlier messages of ticket %s: %w: %w", d.Ticket, errOurs, err)
	}
	return Alert(d, earlier, c.cfg.Table)
}

// Alert says a delivery in CAP 1.2. It is a pure function; earlier are the messages of the
// same ticket to the same unit, oldest first.
func Alert(d grid.Delivery, earlier []grid.Delivery, t *CAPTable) ([]byte, error) {
	b, err := read(d)
	if err != nil {
		return nil, err
	}
	a := capAlert{
		Identifier: d.ID, Sender: t.Sender, Sent: d.Created.In(t.zone).Format(capTime), Status: capStatus(d.Mode),
		MsgType: capType(d.Type, len(earlier)), Scope: "Restricted", Restriction: t.Restriction,
		Incidents: capToken(b.Ticket),
	}
	if a.Status != "Actual" {
		a.Note = "This is no real incident: " + string(d.Mode) + "."
	}
	for _, e := range earlier {
		a.References = append(a.References, t.Sender+","+e.ID+","+e.Created.In(t.zone).Format(capTime))
	}
	zh, en := languages(b.Title)
	a.Info = []capInfo{capSaid(d, b, t, "zh-CN", zh), capSaid(d, b, t, "en", en)}
	out, err := xml.MarshalIndent(a, "", " ")
	if err != nil {
		return nil, fmt.Errorf("%w: alert %s: %w", ErrNever, d.ID, err)
	}
	return append([]byte(xml.Header), out...), nil
}

// capToken is a text without white space, for lists that are separated by it.
func capToken(s string) string { return strings.Join(strings.Fields(s), "_") }

type capAlert struct {
	XMLName     xml.Name  `xml:"urn:oasis:names:tc:emergency:cap:1.2 alert"`
	Identifier  string    `xml:"identifier"`
	Sender      string    `xml:"sender"`
	Sent        string    `xml:"sent"`
	Status      string    `xml:"status"`
	MsgType     string    `xml:"msgType"`
	Scope       string    `xml:"scope"`
	Restriction string    `xml:"restriction"`
	Note        string    `xml:"note,omitempty"`
	References  capList   `xml:"references,omitempty"`
	Incidents   string    `xml:"incidents,omitempty"`
	Info        []capInfo `xml:"info"`
}

// capList is one element with its items separated by spaces.
type capList []string

// MarshalText implements encoding.TextMarshaler.
func (l capList) MarshalText() ([]byte, error) { return []byte(strings.Join(l, " ")), nil }

type capInfo struct {
	Language    string     `xml:"language"`
	Category    []string   `xml:"category"`
	Event       string     `xml:"event"`
	Response    []string   `xml:"responseType"`
	Urgency     string     `xml:"urgency"`
	Severity    string     `xml:"severity"`
	Certainty   string     `xml:"certainty"`
	EventCode   []capValue `xml:"eventCode"`
	Onset       string     `xml:"onset,omitempty"`
	Expires     string     `xml:"expires,omitempty"`
	SenderName  string     `xml:"senderName,omitempty"`
	Headline    string     `xml:"headline"`
	Description string     `xml:"description"`
	Web         string     `xml:"web,omitempty"`
	Contact     string     `xml:"contact,omitempty"`
	Parameter   []capValue `xml:"parameter"`
	Area        capArea    `xml:"area"`
}

type capValue struct {
	Name  string `xml:"valueName"`
	Value string `xml:"value"`
}

type capArea struct {
	Desc    string     `xml:"areaDesc"`
	Polygon string     `xml:"polygon,omitempty"`
	Circle  string     `xml:"circle,omitempty"`
	Geocode []capValue `xml:"geocode"`
}

func capStatus(m grid.Mode) string {
	switch m {
	case grid.Live, "":
		return "Actual"
	case grid.Exercise:
		return "Exercise"
	}
	return "Test"
}

// capType: the first word on a ticket is an alert whatever it says, since an update or a
// cancellation must refer to something.
func capType(message string, earlier int) string {
	switch {
	case earlier == 0:
		return "Alert"
	case message == "ticket.cancelled" || message == "ticket.stand_down":
		return "Cancel"
	}
	return "Update"
}

// capOver reports whether a message ends the unit's work.
func capOver(message string) bool {
	return message == "ticket.closed" || message == "ticket.cancelled" || message == "ticket.stand_down"
}

// capSaid is the information in one language.
func capSaid(d grid.Delivery, b bodyData, t *CAPTable, language, title string) capInfo {
	line := t.event(b.Event)
	i := capInfo{
		Language: language, Category: line.Category, Event: title, Response: line.Response, Urgency: line.Urgency, Severity: line.Severity,
		Certainty: line.Certainty, SenderName: t.SenderName, Headline: title + ", " + b.Place.Words, Web: webLink(b.Link), Contact: t.Contact,
		Area: capWhere(b.Place, line, t),
	}
	switch b.Verification {
	case grid.VerifiedTrue:
		i.Certainty = "Observed"
	case grid.VerifiedFalse:
		i.Certainty = "Unlikely"
	}
	if capOver(d.Type) {
		i.Urgency, i.Response = "Past", []string{"AllClear"}
	}
	i.Onset, i.Expires = t.stamp(b.Times.Opened), t.stamp(b.Times.Due)
	said := []string{title, b.Place.Words, b.Priority, strings.TrimPrefix(d.Type, "ticket."), string(b.State)}
	if b.Note != "" {
		said = append(said, b.Note)
	}
	i.Description = strings.Join(said, "; ")
	i.EventCode = values("GridClass", line.Class, "GridEvent", string(b.Event))
	i.Parameter = values("Ticket", b.Ticket, "Case", b.Case, "Assignment", b.Assignment, "Attempt", number(b.Attempt),
		"Priority", b.Priority, "Message", d.Type, "CallbackURL", b.CallbackURL)
	return i
}

// stamp is a time as CAP writes it, "" for none, or one that CAP cannot write.
func (t *CAPTable) stamp(at time.Time) string {
	if at = at.In(t.zone); at.Year() < 1 || at.Year() > 9999 || at.IsZero() {
		return ""
	}
	return at.Format(capTime)
}

// webLink is a link that an element of type anyURI may hold.
func webLink(s string) string {
	if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsFunc(s, unicode.IsSpace) {
		return ""
	}
	return s
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// values makes pairs of names and values, without the empty ones.
func values(pairs ...string) (out []capValue) {
	for i := 0; i < len(pairs); i += 2 {
		if strings.TrimSpace(pairs[i+1]) != "" {
			out = append(out, capValue{pairs[i], pairs[i+1]})
		}
	}
	return out
}

// capWhere is a circle where the position is known, else the polygon of the area.
func capWhere(p bodyPlace, line CAPEvent, t *CAPTable) capArea {
	a := capArea{Desc: p.Words, Geocode: values("UnitGrid", p.Cell, "Community", p.Community, "Street", p.Street)}
	if p.Lat != nil && p.Lon != nil && math.Abs(*p.Lat) <= 90 && math.Abs(*p.Lon) <= 180 {
		a.Circle = fmt.Sprintf("%.6f,%.6f %g", *p.Lat, *p.Lon, line.RadiusKM)
	} else {
		a.Polygon = t.polygon(p)
	}
	return a
}
