package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"gridgate/internal/grid"
)

// AddEvidence keeps a file with a ticket.
func (c *Client) AddEvidence(ctx context.Context, ticket string, file []byte, shows, note string) (grid.EvidenceFile, error) {
	q := url.Values{}
	for key, v := range map[string]string{"shows": shows, "note": note} {
		if v != "" {
			q.Set(key, v)
		}
	}
	return call[grid.EvidenceFile](ctx, c, http.MethodPost, "/api/v1/tickets/"+url.PathEscape(ticket)+"/evidence", q, &content{raw: file})
}

// Evidence lists the files of a ticket.
func (c *Client) Evidence(ctx context.Context, ticket string) (Page[grid.EvidenceFile], error) {
	return call[Page[grid.EvidenceFile]](ctx, c, http.MethodGet, "/api/v1/tickets/"+url.PathEscape(ticket)+"/evidence", nil, nil)
}

// EvidenceFile reads a file itself.
func (c *Client) EvidenceFile(ctx context.Context, id string) ([]byte, error) {
	return do(ctx, c, http.MethodGet, "/api/v1/evidence/"+url.PathEscape(id), nil, nil, time.Minute)
}
