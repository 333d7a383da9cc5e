package influx

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	"gridgate/internal/grid"
)

// Config says where InfluxDB is. Zero durations mean the defaults.
type Config struct {
	URL     string        // "http://127.0.0.1:8086"
	Token   string        // 2.x: the token; 1.8: "user:password"; "" without authentication
	Org     string        // 2.x only
	Bucket  string        // 2.x: the bucket; 1.8: "db" or "db/retention-policy"
	GZip    bool          // compress writes: for servers behind a thin line
	Timeout time.Duration // of one call; default 20 s
	TLS     *tls.Config   // whom to trust; nil: whom the system trusts
}

// Client talks to one InfluxDB, 1.8 or 2.x.
type Client struct {
	cfg    Config
	http   *http.Client
	influx influxdb2.Client
	write  api.WriteAPIBlocking
}

// NewClient makes a client; it does not connect.
func NewClient(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, grid.Errorf(grid.Invalid, "influx: url is %q: want one like http://127.0.0.1:8086", cfg.URL)
	}
	if u.User != nil { // it would show in every log line
		return nil, grid.Errorf(grid.Invalid, "influx: url has a user: want it in the token, as user:password")
	}
	if cfg.Bucket == "" {
		return nil, grid.Errorf(grid.Invalid, "influx: no bucket: want a bucket, or db/retention-policy for InfluxDB 1.8")
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	cfg.Timeout = cmp.Or(cfg.Timeout, 20*time.Second)
	c := &Client{cfg: cfg, http: newHTTPClient(cfg.TLS)}
	options := influxdb2.DefaultOptions().SetHTTPClient(c.http).SetUseGZip(cfg.GZip).SetApplicationName("gridgate")
	c.influx = influxdb2.NewClientWithOptions(cfg.URL, cfg.Token, options)
	c.write = c.influx.WriteAPIBlocking(cfg.Org, cfg.Bucket)
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() {
	c.influx.Close()
	c.http.CloseIdleConnections()
}

func newHTTPClient(trust *tls.Config) *http.Client {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		TLSClientConfig:     trust,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     60 * time.Second,
	}
	return &http.Client{
		Transport: strictWrites{t},
		// A followed redirect turns a POST into a GET, which may succeed and store nothing.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// strictWrites believes a write only when it is answered 204, as InfluxDB does: the
// friendly 200 page of a proxy in between has stored nothing.
type strictWrites struct{ http.RoundTripper }

func (s strictWrites) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/api/v2/write") {
		return resp, err
	}
	if resp.StatusCode/100 == 2 && resp.StatusCode != http.StatusNoContent {
		resp.Body.Close()
		return nil, fmt.Errorf("write was answered %s: want 204 from an InfluxDB", resp.Status)
	}
	return resp, nil
}

// send writes lines once; it fails with a *refusal.
func (c *Client) send(ctx context.Context, lines string) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	err := c.write.WriteRecord(ctx, lines)
	if err == nil {
		return nil
	}
	r := &refusal{reason: err.Error(), cause: err}
	if e, ok := errors.AsType[*influxhttp.Error](err); ok && e.StatusCode != 0 {
		r.status, r.after = e.StatusCode, time.Duration(e.RetryAfter)*time.Second
		r.reason = brief(cmp.Or(e.Message, err.Error()), maxReason)
	}
	return r
}

// maxReason bounds what is kept of a server's words: it may repeat a whole batch.
const maxReason = 500

// refusal is why a call failed: what the server answered, or why there was no answer.
type refusal struct {
	status int // of HTTP; 0: no answer
	reason string
	after  time.Duration // the server asked for this pause
	cause  error
}

func (r *refusal) Error() string {
	if r.status == 0 {
		return r.reason
	}
	return fmt.Sprintf("answered %d: %s", r.status, r.reason)
}

func (r *refusal) Unwrap() error { return r.cause }

// aboutLines reports whether the lines themselves are refused, so that some of them may
// be stored without the others. It is the short list of what may cost a line its place:
// InfluxDB 1.8 and 2.x say all of it with these words. Everything else keeps the data.
func (r *refusal) aboutLines() bool {
	switch r.status {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return strings.Contains(r.reason, "unable to parse") || // not line protocol, time or number out of range
			strings.Contains(r.reason, "field type conflict") ||
			strings.Contains(r.reason, "partial write") // also beyond the retention policy
	}
	return false
}

// explain makes a sentence of a failure for whoever runs the gateway.
func (c *Client) explain(err error) error {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	code, what := grid.Unavailable, "does not take the points"
	switch r.status {
	case 0:
		what = "does not answer"
	case http.StatusUnauthorized, http.StatusForbidden:
		code, what = grid.Unauthorized, "refuses the token"
	case http.StatusNotFound:
		code, what = grid.NotFound, fmt.Sprintf("has no bucket %q for us", c.cfg.Bucket)
	}
	return grid.Errorf(code, "influxdb at %s %s: %w", c.cfg.URL, what, err)
}

// connect checks address, token and bucket by a write of nothing, and makes the database
// where the server is a 1.8.
func (c *Client) connect(ctx context.Context) error {
	err := c.check(ctx)
	if r, ok := errors.AsType[*refusal](err); !ok || r.status != http.StatusNotFound {
		return err
	}
	db, rp := c.database()
	create := "CREATE DATABASE " + quoteIdent(db)
	if rp != "" {
		create += " WITH DURATION INF REPLICATION 1 NAME " + quoteIdent(rp)
	}
	if _, failed := c.query(ctx, http.MethodPost, create); failed != nil {
		return fmt.Errorf("%w; making it: %w", err, failed) // a 2.x has no such statement: the bucket is for its owner to make
	}
	return c.check(ctx)
}

func (c *Client) check(ctx context.Context) error {
	err := c.send(ctx, "# gridgate\n")
	if r, ok := errors.AsType[*refusal](err); ok && r.status == http.StatusBadRequest {
		return nil // it looked for points: address, token and bucket are right
	}
	return err
}

// database splits the bucket as InfluxDB 1.8 does.
func (c *Client) database() (db, rp string) {
	db, rp, _ = strings.Cut(c.cfg.Bucket, "/")
	return db, rp
}

// result is the answer to one InfluxQL statement.
type result struct {
	Series []struct {
		Name    string
		Tags    map[string]string
		Columns []string
		Values  [][]any
	}
	Error string
}

// maxAnswer bounds the answer to a query.
const maxAnswer = 64 << 20

// query runs one InfluxQL statement; times are ns, numbers are json.Number.
func (c *Client) query(ctx context.Context, method, statement string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	db, rp := c.database()
	params := url.Values{"db": {db}, "q": {statement}, "epoch": {"ns"}}
	if rp != "" {
		params.Set("rp", rp)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.cfg.URL+"/query?"+params.Encode(), nil)
	if err != nil {
		return result{}, &refusal{reason: err.Error(), cause: err}
	}
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Token "+c.cfg.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return result{}, &refusal{reason: err.Error(), cause: err}
	}
	defer resp.Body.Close()
	return readResult(resp)
}

func readResult(resp *http.Response) (result, error) {
	body := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(body, maxReason))
		return result{}, &refusal{status: resp.StatusCode, reason: brief(string(said), maxReason)}
	}
	var answer struct {
		Results []result
		Error   string
	}
	d := json.NewDecoder(body)
	d.UseNumber()
	if err := d.Decode(&answer); err != nil {
		return result{}, &refusal{reason: "answer to a query: " + err.Error(), cause: err}
	}
	if len(answer.Results) == 0 {
		return result{}, &refusal{status: resp.StatusCode, reason: cmp.Or(answer.Error, "no result")}
	}
	if said := answer.Results[0].Error; said != "" {
		return result{}, &refusal{status: resp.StatusCode, reason: brief(said, maxReason)}
	}
	return answer.Results[0], nil
}

// brief cuts s to n bytes without breaking a character.
func brief(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
