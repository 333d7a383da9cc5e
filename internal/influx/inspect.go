package influx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Inspection is what a person should know of an InfluxDB before it is relied on.
type Inspection struct {
	Version   string        `json:"version"`             // "" : it does not answer
	V2        bool          `json:"v2"`                  // buckets and tokens; else databases and users
	Retention time.Duration `json:"retention,omitempty"` // how long it keeps points; 0: for ever, or not known
	Problems  []string      `json:"problems"`            // each with what to do
	Warnings  []string      `json:"warnings,omitempty"`  // likewise; well now, and not for all points
}

func (i *Inspection) wrong(format string, args ...any) {
	i.Problems = append(i.Problems, fmt.Sprintf(format, args...))
}

// Inspect looks at version, token, bucket and retention, and writes nothing.
func (c *Client) Inspect(ctx context.Context) (i Inspection) {
	i.Problems = []string{}
	version, err := c.serverVersion(ctx)
	if err != nil {
		i.wrong("influxdb at %s does not answer (%v): start it, or mend influx.url", c.cfg.URL, err)
		return i
	}
	i.Version, i.V2 = version, strings.HasPrefix(version, "2.")
	if !i.V2 && !strings.HasPrefix(version, "1.8.") {
		i.wrong("influxdb at %s is version %s: want 1.8 or 2.x", c.cfg.URL, version)
		return i
	}
	if i.V2 != (c.cfg.Org != "") {
		i.wrong("influxdb at %s is version %s and influx.org is %q: want an organisation for 2.x, and none for 1.8", c.cfg.URL, version, c.cfg.Org)
		return i
	}
	if err := c.check(ctx); err != nil {
		i.writing(c, err)
		return i
	}
	if i.V2 {
		c.inspectBucket(ctx, &i)
	} else {
		c.inspectPolicy(ctx, &i)
	}
	c.inspectTypes(ctx, &i)
	return i
}

// writing says why a write would fail, and what helps.
func (i *Inspection) writing(c *Client, err error) {
	r, _ := errors.AsType[*refusal](err)
	switch {
	case r != nil && r.status == http.StatusNotFound && i.V2:
		i.wrong("influxdb has no bucket %q in organisation %q that the token may see: influx bucket create --org %s --name %s --retention 104w", c.cfg.Bucket, c.cfg.Org, c.cfg.Org, c.cfg.Bucket)
	case r != nil && r.status == http.StatusNotFound:
		// gridgate makes it when it starts to write.
	case r != nil && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden) && i.V2:
		i.wrong("influxdb refuses the token of influx.token_file: influx auth create --org %s --read-bucket ID --write-bucket ID", c.cfg.Org)
	case r != nil && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden):
		i.wrong("influxdb refuses the user of influx.token_file: want user:password in it, with all rights on the database")
	default:
		i.wrong("influxdb takes no points: %v", err)
	}
}

func (c *Client) serverVersion(ctx context.Context) (string, error) {
	res, err := c.get(ctx, "/ping")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	v := strings.TrimPrefix(res.Header.Get("X-Influxdb-Version"), "v")
	if v == "" {
		return "", fmt.Errorf("answered %s without a version: no InfluxDB", res.Status)
	}
	return v, nil
}

func (c *Client) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.URL+path, nil)
	if err != nil {
		return nil, err
	}
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Token "+c.cfg.Token)
	}
	return c.http.Do(req)
}

// inspectBucket asks a 2.x how long it keeps points, and whether they can be read back.
func (c *Client) inspectBucket(ctx context.Context, i *Inspection) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	res, err := c.get(ctx, "/api/v2/buckets?"+url.Values{"org": {c.cfg.Org}, "name": {c.cfg.Bucket}}.Encode())
	if err != nil {
		i.wrong("influxdb does not tell of its buckets: %v", err)
		return
	}
	defer res.Body.Close()
	var said struct {
		Buckets []struct {
			RetentionRules []struct{ EverySeconds int64 }
		}
	}
	err = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&said)
	if res.StatusCode != http.StatusOK || err != nil || len(said.Buckets) == 0 {
		i.wrong("the token of influx.token_file may write bucket %q and not read it: histories stay empty; influx auth create --read-bucket ID --write-bucket ID", c.cfg.Bucket)
		return
	}
	for _, rule := range said.Buckets[0].RetentionRules {
		i.Retention = time.Duration(rule.EverySeconds) * time.Second
	}
	if _, err := c.query(ctx, http.MethodGet, "SHOW MEASUREMENTS LIMIT 1"); err != nil {
		i.wrong("influxdb answers no InfluxQL for bucket %q: influx v1 dbrp create --db %s --rp autogen --default --bucket-id ID (%v)", c.cfg.Bucket, c.cfg.Bucket, err)
	}
}

// inspectPolicy asks a 1.8 how long it keeps points.
func (c *Client) inspectPolicy(ctx context.Context, i *Inspection) {
	db, rp := c.database()
	r, err := c.query(ctx, http.MethodGet, "SHOW RETENTION POLICIES ON "+quoteIdent(db))
	if err != nil || len(r.Series) == 0 {
		return // a user may write and not see this
	}
	for _, row := range r.Series[0].Values {
		named := map[string]any{}
		for n, column := range r.Series[0].Columns {
			if n < len(row) {
				named[column] = row[n]
			}
		}
		if named["name"] == rp || rp == "" && named["default"] == true {
			i.Retention = policyDuration(fmt.Sprint(named["duration"]))
		}
	}
}

// policyDuration reads a duration as a 1.8 writes it: 168h0m0s.
func policyDuration(s string) time.Duration {
	if d, err := time.ParseDuration(s); err == nil {
		return d
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return time.Duration(n)
}
