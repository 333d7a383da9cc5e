package api

import (
	"context"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/geo"
	"gridgate/internal/grid"
	"gridgate/internal/label"
)

// LabelEngine is what the API asks of labels, claims and strangers.
type LabelEngine interface {
	// ClaimWith stands once it returns nil; frames that still wait are tried again.
	ClaimWith(ctx context.Context, c grid.Claim) (grid.Claimed, error)
	PutLabels(ctx context.Context, labels []grid.ClaimLabel, act grid.Act) ([]grid.ClaimLabel, error)
	RevokeLabels(ctx context.Context, device grid.Identity, act grid.Act) (int, error)
	Ignore(ctx context.Context, id grid.Identity, act grid.Act) (grid.Discovered, error)
	Unignore(ctx context.Context, id grid.Identity, act grid.Act) (grid.Discovered, error)
	Discovered(ctx context.Context, limit int) ([]grid.Discovered, error)
	IgnoredStrangers(ctx context.Context, limit int) ([]grid.Discovered, error)
	Stranger(ctx context.Context, id grid.Identity, profile string, limit int) (grid.Stranger, error)
}

// Claim registers a discovered device, or installs one that is registered. No text of it is
// checked by the schema: what refuses a body may quote it.
type Claim struct {
	Profile       string         `json:"profile,omitempty" doc:"<vendor>/<model>; of a device that is registered it may be left out."`
	Mode          grid.Mode      `json:"mode,omitempty" enum:"live,test,exercise,simulated"`
	Interval      string         `json:"interval,omitempty" doc:"Reporting interval such as 20m; default: the profile's."`
	Installations []ClaimChannel `json:"installations,omitempty" doc:"Where it is; without any it is registered and not supervised."`
	Point         *grid.Point    `json:"point,omitempty" doc:"A point that is made in the same step, if it is not there yet; without installations the device is put there."`
	Code          string         `json:"code,omitempty" doc:"What was scanned: it has to name this device. A token in it is used up, a key in it is kept only with keep_secret."`
	KeepSecret    bool           `json:"keep_secret,omitempty" doc:"A pre-shared key in the code becomes the device's credential, sealed."`
	By            *As            `json:"by,omitempty"`
	At            time.Time      `json:"at,omitzero" doc:"When it was done, if that was without a network."`
}

// ClaimChannel puts a channel of the device at a point.
type ClaimChannel struct {
	Channel string    `json:"channel,omitempty" doc:"Default: main."`
	Point   string    `json:"point"`
	From    time.Time `json:"from,omitzero" doc:"Default: when it was done."`
}

// Claimed is what came of a claim.
type Claimed struct {
	grid.Claimed
	Secret bool `json:"secret" doc:"There was a secret in the code. It is not in this answer."`
	Kept   bool `json:"kept,omitempty" doc:"It is the device's credential now."`
}

type claimInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Safe to repeat: the same key does it once."`
	Body Claim
}

func (s *Server) claimRoute(api huma.API) {
	route(s, api, admins|technicians, importWithin, post("/devices/{id}/claim", "claim-device", "devices", "Make a discovered device, or one that is registered and nowhere installed, ours; its waiting frames are then processed as history"), s.claim)
}

func (s *Server) claim(ctx context.Context, by grid.Actor, in *claimInput) (*body[Claimed], error) {
	reach, err := s.reach(ctx, by)
	if err != nil {
		return nil, err
	}
	b := &in.Body
	c := grid.Claim{
		Device: grid.Device{Identity: grid.Identity(in.ID), Profile: b.Profile, Mode: b.Mode}, Point: b.Point, Reach: reach,
		Act: grid.Act{By: b.By.actor(by), Via: "claim", At: b.At, Key: in.Key},
	}
	if b.Interval != "" {
		if c.Device.Interval, err = time.ParseDuration(b.Interval); err != nil || c.Device.Interval <= 0 {
			return nil, grid.Errorf(grid.Invalid, "interval is %q: want a duration such as 20m", b.Interval)
		}
	}
	if c.Point != nil {
		if _, err := geo.Place(c.Point, s.regions(), false); err != nil {
			return nil, err
		}
	}
	secrets, err := s.shownCode(b, &c)
	if err != nil {
		return nil, err
	}
	for _, at := range b.Installations {
		c.Installations = append(c.Installations, grid.Installation{Device: c.Device.Identity, Channel: at.Channel, Point: at.Point, From: at.From})
	}
	if c.Point != nil && len(c.Installations) == 0 {
		c.Installations = []grid.Installation{{Device: c.Device.Identity, Point: c.Point.ID}}
	}
	done, err := s.Engine.ClaimWith(ctx, c)
	out := Claimed{Claimed: done, Secret: secrets != label.Secrets{}}
	if err == nil && b.KeepSecret {
		out.Kept, err = s.keepSecret(ctx, &c, secrets)
	}
	return &body[Claimed]{out}, err
}

// regions is what positions are placed by; nil converts them only.
func (s *Server) regions() *geo.Map {
	if s.Regions == nil {
		return nil
	}
	return s.Regions.Map()
}

// shownCode reads the code that was scanned: it has to be of this device.
func (s *Server) shownCode(b *Claim, c *grid.Claim) (label.Secrets, error) {
	if b.Code == "" {
		return label.Secrets{}, nil
	}
	read := s.Codes.Read(b.Code)
	b.Code = ""
	switch {
	case slices.Contains(read.Warnings, label.EasyCode):
		return label.Secrets{}, grid.Errorf(grid.Invalid, "code has a passcode that everybody guesses: want it changed before the device is used")
	case len(read.Identities) == 0:
		return label.Secrets{}, grid.Errorf(grid.Invalid, "code of kind %s names no device: want the code of device %s", read.Kind, c.Device.Identity)
	case !slices.Contains(read.Identities, c.Device.Identity):
		return label.Secrets{}, grid.Errorf(grid.Conflict, "code is of device %s: want that of %s", read.Identity(), c.Device.Identity)
	}
	c.Device.Serial = read.Serial
	if read.Secrets.Token != "" {
		c.Token = label.TokenHash(read.Secrets.Token)
	}
	return read.Secrets, nil
}

// keepSecret hands a key straight to the credentials. What they have no use for is dropped: an
// AppKey is the network server's business.
func (s *Server) keepSecret(ctx context.Context, c *grid.Claim, found label.Secrets) (bool, error) {
	if found.PSK == "" {
		return false, nil
	}
	keys, err := s.keys()
	if err != nil {
		return false, err
	}
	n := NewCredential{CredentialAsk: CredentialAsk{Kind: grid.CoAPKey, Secret: found.PSK, Reason: "from the code on the device"}, Device: c.Device.Identity, By: c.By}
	if c.Key != "" {
		n.Key = "claim/" + c.Key
	}
	_, err = keys.Add(ctx, n)
	return err == nil, err
}
