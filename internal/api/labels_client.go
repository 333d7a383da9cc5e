package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gridgate/internal/grid"
)

// ReadCode says what a code means.
func (c *Client) ReadCode(ctx context.Context, text string) (CodeView, error) {
	return call[CodeView](ctx, c, http.MethodPost, "/api/v1/codes/read", nil, &content{json: map[string]string{"text": text}})
}

// LabelsAsk says what is printed.
type LabelsAsk struct {
	Points     []string        `json:"points,omitempty"`
	Devices    []grid.Identity `json:"devices,omitempty"`
	Layout     string          `json:"layout,omitempty"`
	Lang       string          `json:"lang,omitempty"`
	NoTokens   bool            `json:"no_tokens,omitempty"`
	Contractor string          `json:"contractor,omitempty"`
	Expires    time.Time       `json:"expires,omitzero"`
}

// Labels prints labels, as PDF.
func (c *Client) Labels(ctx context.Context, ask LabelsAsk) ([]byte, error) {
	return do(ctx, c, http.MethodPost, "/api/v1/labels", nil, &content{json: ask}, time.Minute)
}

// RevokeLabels ends the tokens of a device.
func (c *Client) RevokeLabels(ctx context.Context, id grid.Identity, reason string) (Revoked, error) {
	return call[Revoked](ctx, c, http.MethodPost, "/api/v1/devices/"+url.PathEscape(string(id))+"/labels/revoke", nil, &content{json: map[string]string{"reason": reason}})
}

// Stranger gives one of the discovered with its last frames.
func (c *Client) Stranger(ctx context.Context, id grid.Identity, profile string, limit int) (grid.Stranger, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if profile != "" {
		q.Set("profile", profile)
	}
	return call[grid.Stranger](ctx, c, http.MethodGet, "/api/v1/discovered/"+url.PathEscape(string(id)), q, nil)
}

// Ignore sets a stranger aside; Unignore lists it among the others again.
func (c *Client) Ignore(ctx context.Context, id grid.Identity, reason string) (grid.Discovered, error) {
	return call[grid.Discovered](ctx, c, http.MethodPost, "/api/v1/discovered/"+url.PathEscape(string(id))+"/ignore", nil, &content{json: map[string]string{"reason": reason}})
}

// Unignore lists it among the others again.
func (c *Client) Unignore(ctx context.Context, id grid.Identity) (grid.Discovered, error) {
	return call[grid.Discovered](ctx, c, http.MethodPost, "/api/v1/discovered/"+url.PathEscape(string(id))+"/unignore", nil, nil)
}
