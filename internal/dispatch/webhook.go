package dispatch

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"gridgate/internal/grid"
)

// ContentType of a delivery's body: CloudEvents 1.0, structured mode, JSON.
const ContentType = "application/cloudevents+json"

const (
	answerLimit = 4 << 10         // of an answer's body that is read
	answerWait  = 2 * time.Second // for the body, once the status has come
	detailLimit = 256             // of it that is kept for a person
)

// Target is where a unit takes webhooks.
type Target struct {
	URL     string
	Secrets []string  // whsec_…; more than one while they are being changed: the body is signed with each
	Mode    grid.Mode // of the unit: live work goes to live units only, and nothing else does
}

// WebhookConfig of a Webhook.
type WebhookConfig struct {
	// Target finds a unit's present address and secrets.
	Target func(ctx context.Context, unit string) (Target, error)
	// Allow names networks that are not public and may be reached all the same.
	Allow []netip.Prefix
	// TLS adds roots and the like; verification stays on.
	TLS *tls.Config
}

// Webhook delivers by signed HTTP POST, after Standard Webhooks 1.0. A unit that keeps
// webhook-id apart gets every delivery once, however often it is sent.
type Webhook struct {
	cfg    WebhookConfig
	client *http.Client
}

// NewWebhook makes the connector. Close frees its connections.
func NewWebhook(cfg WebhookConfig) *Webhook {
	return &Webhook{cfg: cfg, client: newClient(cfg.Allow, cfg.TLS)}
}

// Secrets are those of a unit: more than one, with spaces between, while they are being changed.
func Secrets(u grid.Unit) []string { return strings.Fields(u.Secret) }

// Check says what is wrong with a unit's entry in the registry.
func (w *Webhook) Check(u grid.Unit) error {
	_, err := webAddress(u)
	if _, wrong := sign(Secrets(u), grid.Delivery{}, time.Time{}); wrong != nil {
		err = errors.Join(err, fmt.Errorf("unit %s: %w", u.ID, wrong))
	}
	return errors.Join(err, onlySettings(u))
}

// Close frees idle connections.
func (w *Webhook) Close() { w.client.CloseIdleConnections() }

// Deliver posts d.Body. nil: the unit answered 2xx. A 410 wraps ErrNever.
func (w *Webhook) Deliver(ctx context.Context, d grid.Delivery) (grid.Receipt, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	req, err := w.request(ctx, d, began)
	if err != nil {
		return grid.Receipt{}, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return grid.Receipt{Took: time.Since(began)}, fmt.Errorf("unit %s: %w", d.Unit, bare(err))
	}
	defer resp.Body.Close()
	defer time.AfterFunc(answerWait, cancel).Stop()
	r := receipt(resp)
	r.Took = time.Since(began)
	return r, verdict(d.Unit, resp)
}

// request builds the signed request, or says why there can be none.
func (w *Webhook) request(ctx context.Context, d grid.Delivery, at time.Time) (*http.Request, error) {
	if d.ID == "" || strings.Contains(d.ID, ".") {
		return nil, fmt.Errorf("%w: delivery id is %q: want one without a dot", ErrNever, d.ID)
	}
	t, err := w.cfg.Target(ctx, d.Unit)
	if err != nil {
		return nil, fmt.Errorf("unit %s: address: %w", d.Unit, err)
	}
	if (t.Mode == grid.Live) != (d.Mode == grid.Live) && d.Type != MessageTest {
		return nil, fmt.Errorf("%w: %s delivery for unit %s, which is %s", ErrNever, d.Mode, d.Unit, t.Mode)
	}
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, grid.Errorf(grid.Invalid, "unit %s: its url cannot be used: want http:// or https:// and a host", d.Unit)
	}
	signature, err := sign(t.Secrets, d, at)
	if err != nil {
		return nil, fmt.Errorf("unit %s: %w", d.Unit, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(d.Body))
	if err != nil {
		return nil, grid.Errorf(grid.Invalid, "unit %s: request: %w", d.Unit, bare(err))
	}
	req.Header.Set("Content-Type", ContentType)
	req.Header.Set("User-Agent", "gridgate")
	req.Header.Set(webhooks.HeaderWebhookID, d.ID)
	req.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(webhooks.HeaderWebhookSignature, signature)
	// Says what webhook-id says, and lets net/http repeat the request at once when an idle
	// connection turns out to have been closed by the unit.
	req.Header.Set("Idempotency-Key", d.ID)
	return req, nil
}

// sign makes one signature per secret, separated by spaces.
func sign(secrets []string, d grid.Delivery, at time.Time) (string, error) {
	if len(secrets) == 0 {
		return "", grid.Errorf(grid.Invalid, "has no secret: want whsec_ and base64")
	}
	out := make([]string, len(secrets))
	for i, s := range secrets {
		hook, err := webhooks.NewWebhook(s)
		if err != nil { // the library's error could show a part of the secret
			return "", grid.Errorf(grid.Invalid, "secret %d cannot be read: want whsec_ and base64", i+1)
		}
		if out[i], err = hook.Sign(d.ID, at, d.Body); err != nil {
			return "", fmt.Errorf("signature: %w", err)
		}
	}
	return strings.Join(out, " "), nil
}

// verdict reads the status: 2xx is a receipt, everything else is not, redirects included.
func verdict(unit string, resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusGone:
		return fmt.Errorf("%w: unit %s answers %s", ErrNever, unit, resp.Status)
	case code >= 300 && code < 400:
		return fmt.Errorf("unit %s answers %s: redirects are not followed", unit, resp.Status)
	default:
		return fmt.Errorf("unit %s answers %s", unit, resp.Status)
	}
}

// receipt keeps what a person may want to know of an answer. The status alone decides:
// a body that is too long, too slow or cut off changes nothing.
func receipt(resp *http.Response) grid.Receipt {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	var said struct {
		Ref string `json:"ref"`
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		_ = json.Unmarshal(body, &said) // an answer that is not JSON has no ref
	}
	return grid.Receipt{
		Status:    resp.StatusCode,
		Ref:       printable(said.Ref, 64),
		Detail:    printable(string(body), detailLimit),
		RetryHint: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
}

// retryAfter reads seconds or an HTTP date; what it cannot read is no wish.
func retryAfter(h string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(h, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(h); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// printable keeps the first n bytes of a foreign text, without what is not text.
func printable(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r): // the last turns what follows around
			return -1
		}
		return r
	}, s))
}

// bare takes the URL off an error: it may hold a unit's access key.
func bare(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
