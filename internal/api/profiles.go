package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
	"gridgate/internal/profile"
)

const (
	maxProfile = 2 << 20          // of a candidate's files
	diffWithin = 15 * time.Minute // the longest comparison, and some
)

// Workbench is where versions of firmware profiles are tried and rolled out.
type Workbench interface {
	Standing() ([]*profile.Profile, []profile.Rollout)
	Profile(id string) (p *profile.Profile, files map[string]string, candidate *profile.Profile, err error)
	LintFiles(files map[string]string) (id string, wrong []error)
	DiffProfile(ctx context.Context, r profile.DiffRequest) (profile.Diff, error)
	DiffProgress() profile.DiffProgress
	Rollouts(ctx context.Context) ([]profile.Rollout, error)
	Rollout(ctx context.Context, id string) (profile.Rollout, error)
	StartRollout(ctx context.Context, s profile.RolloutStart) (profile.Rollout, error)
	SetRollout(ctx context.Context, c profile.RolloutChange) (profile.Rollout, error)
	BackRollout(ctx context.Context, c profile.RolloutChange) (profile.Rollout, error)
	ReplayOf(ctx context.Context, id string, by grid.Actor) (through, still int, err error)
}

// profileRoutes: firmware profiles, their versions and roll-outs.
func (s *Server) profileRoutes(api huma.API) {
	route(s, api, viewers|technicians, answerWithin, get("/profiles", "list-profiles", "profiles", "Firmware profiles and the version of each that is in force"), s.listProfiles)
	route(s, api, operators, answerWithin, get("/profiles/{id}", "get-profile", "profiles", "One profile with the files it is made of"), s.profile)
	route(s, api, admins, answerWithin, big(post("/profiles/lint", "lint-profile", "profiles", "Check a candidate and run its cases; nothing is changed")), s.lintProfile)
	route(s, api, operators, answerWithin, post("/profiles/{id}/decode", "decode-payload", "profiles", "Decode a payload with the version in force, or with the candidate"), s.decodePayload)
	route(s, api, admins, diffWithin, big(post("/profiles/{id}/diff", "diff-profile", "profiles", "Compare a candidate with the version in force on the last frames of the profile's devices")), s.diffProfile)
	route(s, api, admins, answerWithin, get("/profiles/{id}/diff", "get-diff-progress", "profiles", "How far the comparison is that runs"), s.diffProgress)
	route(s, api, operators, answerWithin, get("/rollouts", "list-rollouts", "profiles", "How the versions stand of each profile that was ever rolled out"), s.rollouts)
	route(s, api, operators, answerWithin, get("/profiles/{id}/rollout", "get-rollout", "profiles", "How the versions of a profile stand"), s.rollout)
	route(s, api, admins, importWithin, big(post("/profiles/{id}/rollout", "start-rollout", "profiles", "Upload a candidate and begin to roll it out")), s.startRollout)
	set := post("/profiles/{id}/rollout", "set-rollout", "profiles", "Take the roll-out that runs further: another share, or all")
	set.Method = http.MethodPut
	route(s, api, admins, importWithin, set, s.setRollout)
	route(s, api, admins, answerWithin, post("/profiles/{id}/rollout/back", "back-rollout", "profiles", "Return to the former version at once"), s.backRollout)
}

// big lets the files of a candidate in.
func big(op huma.Operation) huma.Operation {
	op.MaxBodyBytes = maxProfile
	return op
}

// Profile is a firmware profile as it is in force.
type Profile struct {
	ID       string              `json:"id"`
	Vendor   string              `json:"vendor"`
	Model    string              `json:"model"`
	Version  string              `json:"version" doc:"In force; every frame names the version that decoded it."`
	Origin   string              `json:"origin" enum:"files,rollout" doc:"files: the gateway's own, built in or of a configured folder. rollout: it was uploaded and rolled out, and stays until it is rolled back."`
	InFiles  string              `json:"in_files,omitempty" doc:"The version of the gateway's files."`
	Rollout  *ProfileRollout     `json:"rollout,omitempty" doc:"The roll-out that runs."`
	Firmware string              `json:"firmware,omitempty"`
	Kinds    []grid.Kind         `json:"kinds"`
	Codec    string              `json:"codec"`
	Interval string              `json:"interval" doc:"A healthy device reports at least this often."`
	Counter  profile.CounterSpec `json:"counter"`
	Signals  []string            `json:"signals"`
	Ports    []int               `json:"ports,omitempty"`
	Source   string              `json:"source,omitempty" doc:"Where the layout comes from."`
}

// ProfileRollout is the roll-out that runs, in short.
type ProfileRollout struct {
	Version string            `json:"version"`
	Stage   grid.RolloutStage `json:"stage" enum:"shadow,share"`
	Share   int               `json:"share,omitempty"`
}

// ProfileDetail is a profile with its files and history.
type ProfileDetail struct {
	Profile
	Files   map[string]string  `json:"files" doc:"Of the version in force: profile.yaml, cases.yaml and what else it has."`
	History []grid.RolloutStep `json:"history,omitempty" doc:"Steps of its roll-outs, oldest first."`
}

func viewProfile(p *profile.Profile, r profile.Rollout) Profile {
	v := Profile{
		ID: p.ID, Vendor: p.Vendor, Model: p.Model, Version: p.Version, Origin: r.Origin, InFiles: r.InFiles, Firmware: p.Firmware,
		Kinds: p.Kinds, Codec: p.Codec, Interval: p.Interval.String(), Counter: p.Counter, Signals: []string{}, Ports: p.Ports, Source: p.Source,
	}
	for _, s := range p.Signals {
		v.Signals = append(v.Signals, s.String())
	}
	if r.Running {
		v.Rollout = &ProfileRollout{r.Version, r.Stage, r.Share}
	}
	return v
}

func (s *Server) listProfiles(context.Context, grid.Actor, *struct{}) (*body[Page[Profile]], error) {
	list, standing := s.Workbench.Standing()
	page := Page[Profile]{Items: make([]Profile, len(list))}
	for i, p := range list {
		page.Items[i] = viewProfile(p, standing[i])
	}
	return &body[Page[Profile]]{page}, nil
}

func (s *Server) profile(ctx context.Context, _ grid.Actor, in *idInput) (*body[ProfileDetail], error) {
	p, files, _, err := s.Workbench.Profile(in.ID)
	if err != nil {
		return nil, err
	}
	r, err := s.Workbench.Rollout(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	return &body[ProfileDetail]{ProfileDetail{viewProfile(p, r), files, r.Steps}}, nil
}

// ProfileFiles are the texts of a candidate's files, by name.
type ProfileFiles map[string]string

type lintInput struct {
	Body struct {
		Files ProfileFiles `json:"files" doc:"profile.yaml, cases.yaml, and codec.js if there is one."`
	}
}

// LintResult is what is wrong with a candidate.
type LintResult struct {
	Profile  string   `json:"profile,omitempty"`
	OK       bool     `json:"ok"`
	Problems []string `json:"problems"`
}

func (s *Server) lintProfile(_ context.Context, _ grid.Actor, in *lintInput) (*body[LintResult], error) {
	id, wrong := s.Workbench.LintFiles(in.Body.Files)
	out := LintResult{Profile: id, OK: len(wrong) == 0, Problems: []string{}}
	for _, err := range wrong {
		out.Problems = append(out.Problems, err.Error())
	}
	return &body[LintResult]{out}, nil
}

// Payload is bytes to decode, as a frame would bring them.
type Payload struct {
	Hex       string    `json:"hex,omitempty" doc:"The payload in hexadecimal; spaces and colons are ignored."`
	Text      string    `json:"text,omitempty" doc:"The payload as text, for profiles that read JSON."`
	Port      *int      `json:"port,omitempty" doc:"LoRaWAN FPort or the like."`
	Format    *uint16   `json:"format,omitempty" doc:"CoAP content format."`
	Path      string    `json:"path,omitempty" doc:"LwM2M path that the payload is the value of."`
	Received  time.Time `json:"received,omitzero" doc:"For times that are relative to it. Default: now."`
	Candidate bool      `json:"candidate,omitempty" doc:"By the candidate of the roll-out that runs."`
}

type decodeInput struct {
	ID   string `path:"id"`
	Body Payload
}

// DecodedPayload is what a version of a profile makes of a payload.
type DecodedPayload struct {
	Profile  string           `json:"profile" doc:"<vendor>/<model>@<version>"`
	Readings []DecodedReading `json:"readings"`
	Sequence *uint32          `json:"sequence,omitempty"`
	Time     *time.Time       `json:"time,omitempty" doc:"The device's clock."`
	Restart  bool             `json:"restart,omitempty"`
	Answer   bool             `json:"answer,omitempty"`
	Warnings []string         `json:"warnings"`
}

// DecodedReading is one reading; value is a boolean for conditions.
type DecodedReading struct {
	Signal  string     `json:"signal"`
	Channel string     `json:"channel,omitempty"`
	Value   any        `json:"value"`
	UOM     string     `json:"uom,omitempty"`
	At      *time.Time `json:"at,omitempty"`
	History bool       `json:"history,omitempty"`
	Suspect bool       `json:"suspect,omitempty"`
}

func (s *Server) decodePayload(_ context.Context, _ grid.Actor, in *decodeInput) (*body[DecodedPayload], error) {
	p, _, candidate, err := s.Workbench.Profile(in.ID)
	if err != nil {
		return nil, err
	}
	if in.Body.Candidate {
		if candidate == nil {
			return nil, grid.Errorf(grid.NotFound, "profile %s: no roll-out runs", p.ID)
		}
		p = candidate
	}
	f, err := in.Body.frame(s.Now())
	if err != nil {
		return nil, err
	}
	d := p.Try(f)
	if d.Err != nil {
		return nil, d.Err
	}
	return &body[DecodedPayload]{viewDecoded(d.Out)}, nil
}

func (p *Payload) frame(now time.Time) (grid.Frame, error) {
	f := grid.Frame{Received: p.Received, Uplink: grid.Uplink{Port: -1, Path: p.Path, Payload: []byte(p.Text)}}
	if f.Received.IsZero() {
		f.Received = now
	}
	if (p.Hex == "") == (p.Text == "") {
		return f, grid.Errorf(grid.Invalid, "want hex or text, one of them")
	}
	if p.Port != nil {
		f.Port = *p.Port
	}
	if p.Format != nil {
		f.Format, f.HasFormat = *p.Format, true
	}
	if p.Hex != "" {
		b, err := profile.ParseHex(p.Hex)
		if err != nil {
			return f, err
		}
		f.Payload = b
	}
	f.Raw = f.Payload
	return f, nil
}

func viewDecoded(d grid.Decoded) DecodedPayload {
	out := DecodedPayload{Profile: d.Profile, Readings: []DecodedReading{}, Restart: d.Restart, Answer: d.Answer, Warnings: d.Warnings}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	if d.HasSequence {
		out.Sequence = &d.Sequence
	}
	if !d.DeviceTime.IsZero() {
		out.Time = &d.DeviceTime
	}
	for _, r := range d.Readings {
		v := DecodedReading{Signal: r.Signal.String(), Channel: r.Channel, Value: r.Value, UOM: grid.Signals[r.Signal].UOM, History: r.History, Suspect: r.Suspect}
		if grid.Signals[r.Signal].Bool {
			v.Value = r.Bool()
		}
		if !r.At.IsZero() {
			v.At = &r.At
		}
		out.Readings = append(out.Readings, v)
	}
	return out
}

// DiffWish asks for a comparison.
type DiffWish struct {
	Files  ProfileFiles `json:"files,omitempty" doc:"The candidate. Without it, the one of the roll-out that runs."`
	Last   int          `json:"last,omitempty" minimum:"1" maximum:"1000000" doc:"Frames to compare, the newest. Default: 10000."`
	Within int          `json:"within_seconds,omitempty" minimum:"1" maximum:"600" doc:"It ends by then, with what it has. Default: 30."`
}

type diffInput struct {
	ID   string `path:"id"`
	Body DiffWish
}

func (s *Server) diffProfile(ctx context.Context, _ grid.Actor, in *diffInput) (*body[profile.Diff], error) {
	c := ctx.Value(callerKey{}).(caller)
	_ = c.ctl.SetWriteDeadline(time.Now().Add(diffWithin)) // over the server's; not supported: then that one holds
	d, err := s.Workbench.DiffProfile(ctx, profile.DiffRequest{
		Profile: in.ID, Files: in.Body.Files, Last: in.Body.Last, Within: time.Duration(in.Body.Within) * time.Second,
	})
	return &body[profile.Diff]{d}, err
}

func (s *Server) diffProgress(context.Context, grid.Actor, *idInput) (*body[profile.DiffProgress], error) {
	return &body[profile.DiffProgress]{s.Workbench.DiffProgress()}, nil
}

func (s *Server) rollouts(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[Page[profile.Rollout]], error) {
	all, err := s.Workbench.Rollouts(ctx)
	return &body[Page[profile.Rollout]]{Page[profile.Rollout]{Items: all}}, err
}

func (s *Server) rollout(ctx context.Context, _ grid.Actor, in *idInput) (*body[profile.Rollout], error) {
	r, err := s.Workbench.Rollout(ctx, in.ID)
	return &body[profile.Rollout]{r}, err
}

// RolloutWish begins a roll-out or takes it further.
type RolloutWish struct {
	Files   ProfileFiles      `json:"files,omitempty" doc:"The candidate, when it begins."`
	Stage   grid.RolloutStage `json:"stage,omitempty" enum:"shadow,share,all" doc:"Default: shadow, or share where share or devices are given."`
	Share   int               `json:"share,omitempty" minimum:"1" maximum:"99" doc:"Percent of the profile's devices."`
	Devices []grid.Identity   `json:"devices,omitempty" maxItems:"1000" doc:"In the share whatever the percentage."`
	Last    int               `json:"last,omitempty" minimum:"1" maximum:"1000000" doc:"Frames to compare before a share or all. Default: 10000."`
	Force   bool              `json:"force,omitempty" doc:"In spite of lost alarms; wants a reason."`
	Reason  string            `json:"reason,omitempty" maxLength:"1000"`
	By      *As               `json:"by,omitempty"`
}

func (w *RolloutWish) stage() grid.RolloutStage {
	if w.Stage == "" && (w.Share > 0 || len(w.Devices) > 0) {
		return grid.RolloutShare
	}
	return cmp.Or(w.Stage, grid.RolloutShadow)
}

type rolloutInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Safe to repeat: the same key does it once."`
	Body RolloutWish
}

func (s *Server) startRollout(ctx context.Context, by grid.Actor, in *rolloutInput) (*body[profile.Rollout], error) {
	w := &in.Body
	id, err := profile.IDOf(w.Files)
	if err == nil && id != in.ID {
		err = grid.Errorf(grid.Invalid, "the files are of profile %s: want %s", id, in.ID)
	}
	if err != nil {
		return nil, err
	}
	r, err := s.Workbench.StartRollout(ctx, profile.RolloutStart{
		Key: in.Key, Files: w.Files, Stage: w.stage(), Share: w.Share, Devices: w.Devices, Last: w.Last, Force: w.Force, Reason: w.Reason, By: w.By.actor(by),
	})
	return &body[profile.Rollout]{r}, err
}

func (s *Server) setRollout(ctx context.Context, by grid.Actor, in *rolloutInput) (*body[profile.Rollout], error) {
	w := &in.Body
	switch {
	case len(w.Files) > 0:
		return nil, grid.Errorf(grid.Invalid, "files are given: want none, the candidate is that of the roll-out that runs")
	case w.Stage == "" && w.Share == 0 && len(w.Devices) == 0:
		return nil, grid.Errorf(grid.Invalid, "stage is empty: want shadow, share or all")
	}
	r, err := s.Workbench.SetRollout(ctx, profile.RolloutChange{
		Key: in.Key, Profile: in.ID, Stage: w.stage(), Share: w.Share, Devices: w.Devices, Last: w.Last, Force: w.Force, Reason: w.Reason, By: w.By.actor(by),
	})
	return &body[profile.Rollout]{r}, err
}

type backInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Safe to repeat: the same key does it once."`
	Body struct {
		Reason string `json:"reason" minLength:"3" maxLength:"1000"`
		By     *As    `json:"by,omitempty"`
	}
}

func (s *Server) backRollout(ctx context.Context, by grid.Actor, in *backInput) (*body[profile.Rollout], error) {
	r, err := s.Workbench.BackRollout(ctx, profile.RolloutChange{Key: in.Key, Profile: in.ID, Reason: in.Body.Reason, By: in.Body.By.actor(by)})
	return &body[profile.Rollout]{r}, err
}
