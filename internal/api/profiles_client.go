package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"gridgate/internal/profile"
)

func profilePath(id, rest string) string { return "/api/v1/profiles/" + url.PathEscape(id) + rest }

// Profiles lists the profiles in force.
func (c *Client) Profiles(ctx context.Context) (Page[Profile], error) {
	return call[Page[Profile]](ctx, c, http.MethodGet, "/api/v1/profiles", nil, nil)
}

// Profile reads one profile with its files.
func (c *Client) Profile(ctx context.Context, id string) (ProfileDetail, error) {
	return call[ProfileDetail](ctx, c, http.MethodGet, profilePath(id, ""), nil, nil)
}

// DecodePayload decodes a payload as the gateway would.
func (c *Client) DecodePayload(ctx context.Context, id string, p Payload) (DecodedPayload, error) {
	return call[DecodedPayload](ctx, c, http.MethodPost, profilePath(id, "/decode"), nil, &content{json: p})
}

// LintProfile checks a candidate.
func (c *Client) LintProfile(ctx context.Context, files map[string]string) (LintResult, error) {
	return call[LintResult](ctx, c, http.MethodPost, "/api/v1/profiles/lint", nil, &content{json: map[string]any{"files": files}})
}

// DiffProfile compares a candidate with the version in force; it may take minutes.
func (c *Client) DiffProfile(ctx context.Context, id string, w DiffWish) (d profile.Diff, err error) {
	b, err := do(ctx, c, http.MethodPost, profilePath(id, "/diff"), nil, &content{json: w}, diffWithin)
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	return d, err
}

// DiffProgress tells how far the comparison is that runs.
func (c *Client) DiffProgress(ctx context.Context, id string) (profile.DiffProgress, error) {
	return call[profile.DiffProgress](ctx, c, http.MethodGet, profilePath(id, "/diff"), nil, nil)
}

// Rollouts tells how the versions stand of each profile that was ever rolled out.
func (c *Client) Rollouts(ctx context.Context) (Page[profile.Rollout], error) {
	return call[Page[profile.Rollout]](ctx, c, http.MethodGet, "/api/v1/rollouts", nil, nil)
}

// Rollout tells how the versions of a profile stand.
func (c *Client) Rollout(ctx context.Context, id string) (profile.Rollout, error) {
	return call[profile.Rollout](ctx, c, http.MethodGet, profilePath(id, "/rollout"), nil, nil)
}

// StartRollout uploads a candidate. key makes it safe to repeat; "" does not.
func (c *Client) StartRollout(ctx context.Context, id string, w RolloutWish, key string) (profile.Rollout, error) {
	return call[profile.Rollout](ctx, c, http.MethodPost, profilePath(id, "/rollout"), nil, &content{json: w, key: key})
}

// SetRollout takes the roll-out that runs further.
func (c *Client) SetRollout(ctx context.Context, id string, w RolloutWish, key string) (profile.Rollout, error) {
	return call[profile.Rollout](ctx, c, http.MethodPut, profilePath(id, "/rollout"), nil, &content{json: w, key: key})
}

// BackRollout returns to the former version.
func (c *Client) BackRollout(ctx context.Context, id, reason, key string) (profile.Rollout, error) {
	return call[profile.Rollout](ctx, c, http.MethodPost, profilePath(id, "/rollout/back"), nil, &content{json: map[string]string{"reason": reason}, key: key})
}

// ReplayOf processes again all that waits in quarantine of a profile's devices.
func (c *Client) ReplayOf(ctx context.Context, id string) (Replayed, error) {
	return call[Replayed](ctx, c, http.MethodPost, "/api/v1/quarantine/replay", nil, &content{json: map[string]any{"profile": id}})
}
