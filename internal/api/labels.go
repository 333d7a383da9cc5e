package api

import (
	"cmp"
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
	"gridgate/internal/label"
)

// labelRoutes: codes that are read, and labels that are printed.
func (s *Server) labelRoutes(api huma.API) {
	op := post("/codes/read", "read-code", "devices", "Say what a scanned or typed code means, and what is known of its device or point")
	op.Description = "A key, passcode or token in the code is told by secret: true and stands nowhere in the answer; nothing of the code is logged or kept."
	route(s, api, operators|technicians, answerWithin, op, s.readCode)
	op = post("/labels", "print-labels", "devices", "Labels with QR codes as PDF: plates of points, and labels of devices")
	op.Description = "A device that is registered and nowhere installed gets a token that claims it once; printing again ends the token before. Only its hash is kept."
	route(s, api, admins|technicians, importWithin, op, s.printLabels)
	route(s, api, admins, answerWithin, get("/devices/{id}/labels", "list-labels", "devices", "The labels with tokens that a device has had"), s.listLabels)
	route(s, api, admins, answerWithin, post("/devices/{id}/labels/revoke", "revoke-labels", "devices", "End the tokens of a device, for example of a box that was lost"), s.revokeLabels)
}

type codeInput struct {
	Body struct {
		Text      string `json:"text" doc:"As it was scanned or typed, at most 2,048 bytes."` // no bounds here: what refuses a body quotes it
		Symbology string `json:"symbology,omitempty" doc:"What bars it was in: qr_code, data_matrix, code_128; for the record of the phone, a code says itself what it is."`
	}
}

// CodeView is what may be shown of a code, with what is known of what it names.
type CodeView struct {
	Kind       label.Kind          `json:"kind" enum:"tr005,matter,imei,mac,eui,sn,gw1,gs1,plain,point"`
	Identity   grid.Identity       `json:"identity" doc:"The one that is known here, else the likeliest; empty: the code names no device."`
	Identities []grid.Identity     `json:"identities"`
	Maker      string              `json:"maker"`
	Model      string              `json:"model"`
	Serial     string              `json:"serial"`
	Profiles   []grid.ProfileGuess `json:"profiles" doc:"What may fit, best first."`
	Point      string              `json:"point"`
	Secret     bool                `json:"secret" doc:"There was a secret in it."`
	Registered *grid.Device        `json:"registered"`
	Discovered *grid.Discovered    `json:"discovered"`
	Warnings   []label.Warning     `json:"warnings" doc:"checksum, luhn, length, deprecated, passcode, test_eui, too_long"`
}

// codeAnswer is kept by nobody on its way.
type codeAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Body         CodeView
}

func (s *Server) readCode(ctx context.Context, by grid.Actor, in *codeInput) (*codeAnswer, error) {
	c := s.Codes.Read(in.Body.Text)
	v := CodeView{
		Kind: c.Kind, Identity: c.Identity(), Identities: append([]grid.Identity{}, c.Identities...), Maker: c.Maker, Model: c.Model, Serial: c.Serial,
		Point: c.Point, Secret: c.Secret, Warnings: append([]label.Warning{}, c.Warnings...), Profiles: []grid.ProfileGuess{},
	}
	for _, id := range c.Identities {
		if err := s.known(ctx, by, id, &v); err != nil {
			return nil, err
		}
		if v.Registered != nil || v.Discovered != nil {
			v.Identity = id
			break
		}
	}
	s.mayBe(&v)
	return &codeAnswer{"no-store", v}, nil
}

// known looks a device up. Of one in another's hands it says no more than that it is registered.
func (s *Server) known(ctx context.Context, by grid.Actor, id grid.Identity, v *CodeView) error {
	d, err := s.Store.Device(ctx, id)
	switch {
	case err == nil:
		q := Query{ID: string(id), Limit: 1}
		if err := s.within(ctx, by, &q); err != nil {
			return err
		}
		page, err := s.Store.ListDevices(ctx, q)
		if len(page.Items) == 0 {
			d = grid.Device{Identity: d.Identity, Profile: d.Profile, State: d.State, Mode: d.Mode}
		}
		v.Registered = &d
		return err
	case grid.CodeOf(err) != grid.NotFound:
		return err
	}
	st, err := s.Engine.Stranger(ctx, id, "", 1)
	switch {
	case err == nil:
		v.Discovered = &st.Discovered
		return nil
	case grid.CodeOf(err) == grid.NotFound:
		return nil
	}
	return err
}

// mayBe says which profiles fit: that of its registration, else what its frames and its name say.
func (s *Server) mayBe(v *CodeView) {
	switch {
	case v.Registered != nil:
		v.Profiles = append(v.Profiles, grid.ProfileGuess{Profile: v.Registered.Profile, Score: 100, Reason: "it is registered so"})
	case v.Discovered != nil:
		v.Profiles = append(v.Profiles, v.Discovered.Guesses...)
	case v.Identity != "" && s.GuessLabel != nil:
		v.Profiles = append(v.Profiles, s.GuessLabel(v.Identity, v.Model)...)
	}
}

type labelsInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"The same key again is a conflict: a token is not made twice."`
	Body struct {
		Points     []string        `json:"points,omitempty" maxItems:"2000"`
		Devices    []grid.Identity `json:"devices,omitempty" maxItems:"2000"`
		Layout     label.Layout    `json:"layout,omitempty" enum:"a4-3x8,roll-50x30" default:"a4-3x8"`
		Lang       string          `json:"lang,omitempty" enum:"zh-CN,en" default:"zh-CN" doc:"Which language is the large one."`
		NoTokens   bool            `json:"no_tokens,omitempty" doc:"Labels of devices without a token."`
		Contractor string          `json:"contractor,omitempty" maxLength:"128" doc:"Only technicians of this one may claim with the tokens."`
		Expires    time.Time       `json:"expires,omitzero" doc:"Of the tokens; default: in 90 days."`
		By         *As             `json:"by,omitempty"`
	}
}

// pdfAnswer is a document with what may claim devices: nobody keeps it on its way.
type pdfAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Type         string `header:"Content-Type"`
	Name         string `header:"Content-Disposition"`
	Body         []byte
}

func (s *Server) printLabels(ctx context.Context, by grid.Actor, in *labelsInput) (*pdfAnswer, error) {
	all := make([]label.Sticker, 0, len(in.Body.Points)+len(in.Body.Devices))
	for _, id := range in.Body.Points {
		one, err := s.plate(ctx, by, id)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	if len(in.Body.Devices) > 0 && by.Role == grid.RoleUnit {
		return nil, grid.Errorf(grid.Forbidden, "a unit's token prints plates of points alone")
	}
	var tokens []grid.ClaimLabel
	for _, id := range in.Body.Devices {
		one, err := s.deviceLabel(ctx, id, in, &tokens)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	file, err := label.Sheet(s.Font, cmp.Or(in.Body.Layout, label.A4), in.Body.Lang, s.Now(), all)
	if err != nil {
		return nil, err
	}
	if len(tokens) > 0 { // last: what cannot be printed is not noted
		put, err := s.Engine.PutLabels(ctx, tokens, grid.Act{By: in.Body.By.actor(by), Key: in.Key})
		if err != nil {
			return nil, err
		}
		if put[0].Hash != tokens[0].Hash {
			return nil, grid.Errorf(grid.Conflict, "these labels were printed already: want a new Idempotency-Key to print others")
		}
	}
	return &pdfAnswer{"no-store", "application/pdf", `attachment; filename="labels.pdf"`, file}, nil
}

// plate is the label of a point that by may see.
func (s *Server) plate(ctx context.Context, by grid.Actor, id string) (label.Sticker, error) {
	q := Query{ID: id, Limit: 1}
	if err := s.within(ctx, by, &q); err != nil {
		return label.Sticker{}, err
	}
	page, err := s.Store.ListPoints(ctx, q)
	if err != nil {
		return label.Sticker{}, err
	}
	if len(page.Items) == 0 {
		return label.Sticker{}, grid.Errorf(grid.NotFound, "point %q: not found", id)
	}
	p := page.Items[0]
	return label.Sticker{Code: grid.Secret(label.PlateCode(p.ID)), Kind: label.KindWords(p.Kind), Name: cmp.Or(p.Name, p.ID), Note: p.Cell}, nil
}

func (s *Server) deviceLabel(ctx context.Context, id grid.Identity, in *labelsInput, tokens *[]grid.ClaimLabel) (label.Sticker, error) {
	d, err := s.Store.Device(ctx, id)
	if err != nil {
		return label.Sticker{}, err
	}
	token := grid.Secret("")
	if d.State == grid.Registered && !in.Body.NoTokens {
		token = label.NewToken()
		*tokens = append(*tokens, grid.ClaimLabel{
			Device: id, Hash: label.TokenHash(token), Expires: in.Body.Expires, Scope: grid.Scope{Contractor: in.Body.Contractor},
		})
	}
	return label.Sticker{Code: grid.Secret(label.DeviceCode(id, token)), Kind: label.DeviceWords(token != ""), Name: cmp.Or(d.Serial, string(id)), Note: d.Profile}, nil
}

func (s *Server) listLabels(ctx context.Context, _ grid.Actor, in *idInput) (*body[Page[grid.ClaimLabel]], error) {
	items, err := s.Store.ClaimLabels(ctx, grid.Identity(in.ID))
	return &body[Page[grid.ClaimLabel]]{Page[grid.ClaimLabel]{Items: append([]grid.ClaimLabel{}, items...)}}, err
}

// Revoked counts tokens that were ended.
type Revoked struct {
	Revoked int `json:"revoked"`
}

func (s *Server) revokeLabels(ctx context.Context, by grid.Actor, in *unignoreInput) (*body[Revoked], error) {
	act := grid.Act{By: by, Key: in.Key}
	if in.Body != nil {
		act.By, act.Reason = in.Body.By.actor(by), in.Body.Reason
	}
	n, err := s.Engine.RevokeLabels(ctx, grid.Identity(in.ID), act)
	return &body[Revoked]{Revoked{n}}, err
}
