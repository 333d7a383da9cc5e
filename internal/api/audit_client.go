package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"gridgate/internal/audit"
)

func auditValues(q audit.Query) url.Values {
	v := url.Values{}
	for key, value := range map[string]string{
		"who": q.Who, "role": string(q.Role), "act": q.Act, "object": q.Object, "from": q.From, "outcome": string(q.Outcome), "cursor": q.Cursor,
		"since": stamp(q.Since), "until": stamp(q.Until),
	} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// Audited reads who did what, newest first.
func (c *Client) Audited(ctx context.Context, q audit.Query) (audit.Page, error) {
	return call[audit.Page](ctx, c, http.MethodGet, "/api/v1/audit", auditValues(q), nil)
}

// VerifyAudit has the gateway read its whole log.
func (c *Client) VerifyAudit(ctx context.Context) (audit.Report, error) {
	return call[audit.Report](ctx, c, http.MethodGet, "/api/v1/audit/verify", nil, nil)
}

// ExportAudit reads the lines that fit as a file: jsonl or csv, its columns in zh or en.
func (c *Client) ExportAudit(ctx context.Context, q audit.Query, format, lang string) ([]byte, error) {
	v := auditValues(q)
	v.Set("format", format)
	v.Set("lang", lang)
	return do(ctx, c, http.MethodGet, "/api/v1/audit/export", v, nil, importWithin+answerWithin)
}
