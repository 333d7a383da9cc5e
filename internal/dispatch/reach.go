package dispatch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
)

// Reach is how connectors find units, and which addresses they may talk to.
type Reach struct {
	// Unit reads a unit as it is now, its secret included.
	Unit func(ctx context.Context, id string) (grid.Unit, error)
	// Allow names networks that are not public and may be reached all the same.
	Allow []netip.Prefix
	// TLS adds roots and the like; verification stays on.
	TLS *tls.Config
	// Now is the city's time, for how old a message is; nil is time.Now.
	Now func() time.Time
}

// addressee is the unit of a delivery, if the delivery may go to it.
func (r Reach) addressee(ctx context.Context, d grid.Delivery) (grid.Unit, error) {
	if d.ID == "" || strings.Contains(d.ID, ".") {
		return grid.Unit{}, fmt.Errorf("%w: delivery id is %q: want one without a dot", ErrNever, d.ID)
	}
	u, err := r.Unit(ctx, d.Unit)
	if err != nil {
		return u, fmt.Errorf("unit %s: %w: %w", d.Unit, errOurs, err)
	}
	if live := u.Mode == grid.Live || u.Mode == ""; live != (d.Mode == grid.Live) && d.Type != MessageTest {
		return u, fmt.Errorf("%w: %s delivery for unit %s, which is %s", ErrNever, d.Mode, d.Unit, u.Mode)
	}
	return u, nil
}

// dialer opens connections to allowed addresses alone.
func (r Reach) dialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: guard{r.Allow}.control}
}

func (r Reach) tlsConfig() *tls.Config {
	if r.TLS == nil {
		return &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c := r.TLS.Clone()
	c.InsecureSkipVerify = false
	return c
}

// newClient is the HTTP client of connectors: guarded, without redirects, without proxy.
func newClient(allow []netip.Prefix, config *tls.Config) *http.Client {
	r := Reach{Allow: allow, TLS: config}
	return &http.Client{
		Transport: &http.Transport{ // no Proxy: a proxy would dial in our place, past the guard
			DialContext:            r.dialer().DialContext,
			TLSClientConfig:        r.tlsConfig(),
			TLSHandshakeTimeout:    10 * time.Second,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bodyMost is how much of an answer is read where the answer matters.
const bodyMost = 256 << 10

// reply is an HTTP answer whose body was read whole.
type reply struct {
	status int
	text   string // "503 Service Unavailable"
	header http.Header
	body   []byte
	took   time.Duration
}

// call makes one request and reads the whole answer. An answer that is too long or breaks
// off is an error: connectors that call this read what the answer says.
func call(client *http.Client, req *http.Request) (reply, error) {
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return reply{took: time.Since(began)}, bare(err)
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, text: resp.Status, header: resp.Header}
	r.body, err = io.ReadAll(io.LimitReader(resp.Body, bodyMost+1))
	r.took = time.Since(began)
	switch {
	case err != nil:
		return r, fmt.Errorf("answer %s breaks off: %w", resp.Status, bare(err))
	case len(r.body) > bodyMost:
		return r, fmt.Errorf("answer %s is longer than %d bytes", resp.Status, bodyMost)
	}
	return r, nil
}

// receipt keeps what a person may want to know of an answer.
func (r reply) receipt() grid.Receipt {
	return grid.Receipt{
		Status: r.status, Took: r.took, Detail: printable(string(r.body), detailLimit),
		RetryHint: retryAfter(r.header.Get("Retry-After"), time.Now()),
	}
}

// is reports whether the answer's media type is one of these.
func (r reply) is(types ...string) bool {
	media, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	return slices.Contains(types, strings.ToLower(strings.TrimSpace(media)))
}

// webAddress reads a unit's URL.
func webAddress(u grid.Unit) (*url.URL, error) {
	a, err := url.Parse(u.URL)
	if err != nil || a.Host == "" || a.Scheme != "http" && a.Scheme != "https" {
		return nil, grid.Errorf(grid.Invalid, "unit %s: url cannot be used: want http:// or https:// and a host", u.ID)
	}
	return a, nil
}

// onlySettings refuses settings that a connector does not know. A name that ends in a dot
// stands for all that begin with it.
func onlySettings(u grid.Unit, known ...string) error {
	var errs []error
	for k, v := range u.Settings {
		ok := slices.ContainsFunc(known, func(n string) bool {
			return n == k || strings.HasSuffix(n, ".") && strings.HasPrefix(k, n) && len(k) > len(n)
		})
		switch {
		case !ok:
			errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: setting %q: connector %s knows %s", u.ID, k, u.Connector, strings.Join(known, ", ")))
		case len(v) > 500:
			errs = append(errs, grid.Errorf(grid.Invalid, "unit %s: setting %q has %d bytes: want at most 500", u.ID, k, len(v)))
		}
	}
	return errors.Join(errs...)
}
