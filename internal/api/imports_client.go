package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"gridgate/internal/grid"
)

// AddImport hands a sheet in.
func (c *Client) AddImport(ctx context.Context, file []byte, m grid.Import, key string) (ImportView, error) {
	q := url.Values{"dry_run": {strconv.FormatBool(m.DryRun)}, "skip_bad": {strconv.FormatBool(m.SkipBad)}, "name": {m.Name}}
	if m.Kind != "" {
		q.Set("kind", string(m.Kind))
	}
	return call[ImportView](ctx, c, http.MethodPost, "/api/v1/imports", q, &content{raw: file, key: key})
}

// ImportOf reads how far an import is.
func (c *Client) ImportOf(ctx context.Context, id string) (ImportView, error) {
	return call[ImportView](ctx, c, http.MethodGet, "/api/v1/imports/"+url.PathEscape(id), nil, nil)
}

// ApplyImport applies a sheet that was checked.
func (c *Client) ApplyImport(ctx context.Context, id string, skipBad bool) (ImportView, error) {
	return call[ImportView](ctx, c, http.MethodPost, "/api/v1/imports/"+url.PathEscape(id)+"/apply", url.Values{"skip_bad": {strconv.FormatBool(skipBad)}}, nil)
}

// UndoImport puts back what an import has changed.
func (c *Client) UndoImport(ctx context.Context, id string) (ImportView, error) {
	return call[ImportView](ctx, c, http.MethodPost, "/api/v1/imports/"+url.PathEscape(id)+"/undo", nil, nil)
}

// ImportRows reads one page.
func (c *Client) ImportRows(ctx context.Context, id, result, cursor string, limit int) (Page[grid.ImportRow], error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	for k, v := range map[string]string{"result": result, "cursor": cursor} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return call[Page[grid.ImportRow]](ctx, c, http.MethodGet, "/api/v1/imports/"+url.PathEscape(id)+"/rows", q, nil)
}

// Sheet writes a sheet that the gateway makes ("exports/points.csv", "imports/template.xlsx") into w.
func (c *Client) Sheet(ctx context.Context, what string, q url.Values, w io.Writer) error {
	res, err := c.send(ctx, http.MethodGet, "/api/v1/"+what+"?"+q.Encode(), nil, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return problemOf(c, res)
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("gateway %s: the sheet was broken off: %w", c.URL, err)
	}
	return nil
}
