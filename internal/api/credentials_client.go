package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"gridgate/internal/grid"
)

func credentialsOf(device grid.Identity) string {
	return "/api/v1/devices/" + url.PathEscape(string(device)) + "/credentials"
}

// AddCredential gives a device a credential. key makes it safe to repeat; "" does not.
func (c *Client) AddCredential(ctx context.Context, device grid.Identity, ask CredentialAsk, key string, dryRun bool) (CredentialMade, error) {
	return call[CredentialMade](ctx, c, http.MethodPost, credentialsOf(device), url.Values{"dry_run": {strconv.FormatBool(dryRun)}}, &content{json: ask, key: key})
}

// Credentials reads the credentials of a device.
func (c *Client) Credentials(ctx context.Context, device grid.Identity) (Page[CredentialView], error) {
	return call[Page[CredentialView]](ctx, c, http.MethodGet, credentialsOf(device), nil, nil)
}

// EndCredential ends one.
func (c *Client) EndCredential(ctx context.Context, device grid.Identity, id, reason string) (CredentialView, error) {
	v := url.Values{}
	if reason != "" {
		v.Set("reason", reason)
	}
	return call[CredentialView](ctx, c, http.MethodDelete, credentialsOf(device)+"/"+url.PathEscape(id), v, nil)
}
