package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gridgate/internal/commission"
	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

// Visits changes commissionings. Each is idempotent: by the id of a visit, by key.
type Visits interface {
	StartVisit(ctx context.Context, n grid.NewVisit) (grid.Visit, error)
	SayInVisit(ctx context.Context, id string, w grid.VisitWord, key string) (grid.Visit, error)
	FinishVisit(ctx context.Context, end grid.VisitEnd, key string) (grid.Visit, error)
	AnswerVisit(ctx context.Context, id string, a grid.WindowAnswer) (grid.Visit, error)
}

// VisitStore is where they are read, with the photos of points.
type VisitStore interface {
	Visit(ctx context.Context, id string) (grid.Visit, error)
	ListVisits(context.Context, Query) (Page[grid.Visit], error)
	Photo(ctx context.Context, id string) (grid.PointPhoto, error)
}

// visitRoutes: commissioning, from the plan to the signed record.
func (s *Server) visitRoutes(api huma.API) {
	if s.Visits == nil || s.VisitStore == nil || s.Commission == nil {
		return
	}
	op := get("/commissioning", "get-commissioning", "commissioning", "What has to be shown at a point of each kind, and how long each step may take by each link")
	op.Description = "To be kept on the phone: it changes only with the gateway's configuration. What the profile of a device cannot say at all is left out of its visit, unless it is a must."
	route(s, api, viewers|technicians, answerWithin, op, func(context.Context, grid.Actor, *struct{}) (*planOutput, error) {
		return &planOutput{CacheControl: "private, max-age=3600", Body: plansOf(s.Commission)}, nil
	})
	op = get("/visits", "list-visits", "commissioning", "Commissionings, newest first")
	op.Description = "State: open, pending, passed, failed; unproven stands for the newest of points that count as not protected, needs_gateway for those that are not heard well enough. Frames are left out: see the visit itself."
	list(s, api, operators|technicians, op, func(ctx context.Context, q Query) (Page[grid.Visit], error) {
		page, err := s.VisitStore.ListVisits(ctx, q)
		for i := range page.Items {
			v := &page.Items[i]
			v.Frames, v.Words, v.Before = nil, nil, nil
		}
		return page, err
	})
	op = post("/visits", "start-visit", "commissioning", "Begin a commissioning, with an id that the phone makes; again it gives what has become of it")
	op.Description = "Offline: it has begun before; what the device said since then is looked through. With a session a window opens over the point and ends with the visit: alarms ask \"is it you?\"."
	op.DefaultStatus = http.StatusCreated
	route(s, api, operators|technicians, importWithin, op, s.startVisit)
	route(s, api, operators|technicians, answerWithin, get("/visits/{id}", "get-visit", "commissioning", "One commissioning with its steps and frames"), func(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Visit], error) {
		v, err := s.visitFor(ctx, by, in.ID)
		return &body[grid.Visit]{v}, err
	})
	op = post("/visits/{id}/steps", "say-step", "commissioning", "Say how a step went")
	op.Description = "What the device has to show is passed by its frames alone: that a person says passed is kept as his word, and the step waits."
	route(s, api, operators|technicians, answerWithin, op, s.sayStep)
	op = post("/visits/{id}/finish", "finish-visit", "commissioning", "Sign the verdict")
	op.Description = "pass is passed if the device has shown all that it has to, else pending until its frames come; after the time of the plan a technician is sent. What was skipped or failed and is a must makes it failed."
	route(s, api, operators|technicians, answerWithin, op, s.finishVisit)
	route(s, api, operators|technicians, answerWithin, post("/visits/{id}/touch", "touch-visit", "commissioning", "Say that the technician's session is there: every 30 s while the window is open"), s.touchVisit)
	route(s, api, operators|technicians, answerWithin, post("/visits/{id}/answer", "answer-visit", "commissioning", "Answer the question that the window of the visit asks"), s.answerVisit)
	op = get("/visits/{id}/record.pdf", "get-visit-record", "commissioning", "The record of a visit to print and file: what was shown, the verdict, who signed")
	op.Responses = map[string]*huma.Response{"200": {Description: "One page A4.", Content: map[string]*huma.MediaType{"application/pdf": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}}
	route(s, api, operators|technicians, importWithin, op, s.visitRecord)
	op = get("/visits/{id}/stream", "stream-visit", "commissioning", "Server-sent events of one visit, as they come")
	op.Description = "Messages: visit, the whole visit without its frames, at once and on each change; frame, one frame of the device, those that came before too. It ends when the visit is passed or failed."
	op.Responses = map[string]*huma.Response{"200": {Description: "The stream.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	route(s, api, operators|technicians, 0, op, s.streamVisit)
}

type planOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         Commissioning
}

// Commissioning is the plans of all kinds.
type Commissioning struct {
	Kinds    []KindPlan `json:"kinds"`
	Links    []LinkPlan `json:"links"`
	PendingS int        `json:"pending_s" doc:"A visit that is pending for so long sends a technician."`
	Position struct {
		DistanceM float64 `json:"distance_m"`
		AccuracyM float64 `json:"accuracy_m"`
	} `json:"position"`
	Battery float64 `json:"battery" doc:"Percent that a device begins with, at least."`
}

// KindPlan is the steps of a kind, in their order.
type KindPlan struct {
	Kind    grid.Kind  `json:"kind"`
	WindowS int        `json:"window_s" doc:"How long the window of a visit lasts."`
	Steps   []StepPlan `json:"steps"`
}

// StepPlan is one step.
type StepPlan struct {
	ID      string         `json:"id"`
	Check   string         `json:"check" enum:"frame,signal,battery,rest,on,off,moment,person,position,photo"`
	Needs   string         `json:"needs" enum:"device,person,photo"`
	Must    bool           `json:"must"`
	Title   grid.Text      `json:"title"`
	Say     grid.Text      `json:"say"`
	Signals []grid.Signal  `json:"signals,omitempty" doc:"Any of these shows it."`
	WaitS   map[string]int `json:"wait_s" doc:"By link, in seconds; of a device that reports every hour where that counts."`
}

// LinkPlan is a way by which devices are heard.
type LinkPlan struct {
	Name     string             `json:"name"`
	Title    grid.Text          `json:"title"`
	FirstS   int                `json:"first_s" doc:"From switching on to the first frame."`
	ActS     int                `json:"act_s" doc:"From the hand at the device to its frame."`
	SettleS  int                `json:"settle_s"`
	Downlink string             `json:"downlink" enum:"at_once,after_uplink,never"`
	Signal   *commission.Limits `json:"signal"`
}

func plansOf(p *commission.Plans) Commissioning {
	out := Commissioning{PendingS: seconds(p.Pending), Battery: p.Battery}
	out.Position.DistanceM, out.Position.AccuracyM = p.DistanceM, p.AccuracyM
	for _, l := range p.Links {
		out.Links = append(out.Links, LinkPlan{l.Name, l.Title, seconds(l.First), seconds(l.Act), seconds(l.Settle), l.Downlink, l.Signal})
	}
	for _, k := range p.Kinds() {
		kind := KindPlan{Kind: k, WindowS: seconds(p.Window(k))}
		for _, st := range p.Steps(k) {
			sp := StepPlan{ID: st.ID, Check: st.Check, Needs: st.Needs(), Must: st.Must, Title: st.Title, Say: st.Say, WaitS: map[string]int{}}
			for _, t := range st.Any {
				sp.Signals = append(sp.Signals, t.Signal)
			}
			for _, l := range p.Links {
				sp.WaitS[l.Name] = seconds(l.Wait(&st, time.Hour))
			}
			kind.Steps = append(kind.Steps, sp)
		}
		out.Kinds = append(out.Kinds, kind)
	}
	return out
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// visitFor reads a visit that by may see.
func (s *Server) visitFor(ctx context.Context, by grid.Actor, id string) (grid.Visit, error) {
	v, err := s.VisitStore.Visit(ctx, id)
	if err != nil {
		return v, err
	}
	reach, err := s.reach(ctx, by)
	if err != nil {
		return v, err
	}
	if !agrees(&v.Scope, &reach) {
		return grid.Visit{}, grid.Errorf(grid.NotFound, "visit %q: not found", id)
	}
	return v, nil
}

// agrees reports whether a scope lies in another: every code that is set there is the same.
func agrees(s, within *grid.Scope) bool {
	for _, c := range [][2]string{
		{s.District, within.District}, {s.Street, within.Street}, {s.Community, within.Community}, {s.Compound, within.Compound}, {s.Contractor, within.Contractor},
	} {
		if c[1] != "" && c[0] != c[1] {
			return false
		}
	}
	return true
}

// NewVisit is a commissioning as it is begun.
type NewVisit struct {
	ID      string        `json:"id" minLength:"8" maxLength:"64" pattern:"^[A-Za-z0-9_-]+$" doc:"Made by the phone."`
	Device  grid.Identity `json:"device"`
	Point   string        `json:"point"`
	Started time.Time     `json:"started,omitzero" doc:"When it began, by the phone's clock. Default now; only offline does it lie back."`
	Sent    time.Time     `json:"sent,omitzero" doc:"The phone's clock as it sends this: what its clock is off is then taken off."`
	Offline bool          `json:"offline,omitempty"`
	Session string        `json:"session,omitempty" maxLength:"200" doc:"Of the technician's phone: opens the window."`
	By      *As           `json:"by,omitempty"`
}

func (s *Server) startVisit(ctx context.Context, by grid.Actor, in *body[NewVisit]) (*body[grid.Visit], error) {
	n := &in.Body
	reach, err := s.reach(ctx, by)
	if err != nil {
		return nil, err
	}
	page, err := s.Store.ListPoints(ctx, Query{ID: n.Point, Scope: reach, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(page.Items) == 0 {
		return nil, grid.Errorf(grid.NotFound, "point %q: not found", n.Point)
	}
	v, err := s.Visits.StartVisit(ctx, grid.NewVisit{
		ID: n.ID, Device: n.Device, Point: n.Point, Started: s.doneAt(n.Started, n.Sent, n.Offline), Offline: n.Offline, Session: n.Session, By: n.By.actor(by),
	})
	return &body[grid.Visit]{v}, err
}

// doneAt is when something was done, by our clock: the phone's, less what it is off. Online
// it is now: what stands between is the way.
func (s *Server) doneAt(at, sent time.Time, offline bool) time.Time {
	now := s.Now().UTC()
	switch {
	case at.IsZero() || !offline && sent.IsZero() && now.Sub(at).Abs() < skewRoom:
		return time.Time{}
	case !sent.IsZero():
		at = at.Add(now.Sub(sent))
	}
	return at
}

// skewRoom is how far a phone's clock may be off where it does not say what it shows.
const skewRoom = 2 * time.Minute

// NewStep is a person's word on a step.
type NewStep struct {
	Step   string         `json:"step"`
	Result grid.StepState `json:"result" enum:"passed,failed,skipped"`
	At     time.Time      `json:"at,omitzero"`
	Sent   time.Time      `json:"sent,omitzero" doc:"The phone's clock as it sends this."`
	Note   string         `json:"note,omitempty" maxLength:"1000" doc:"Why, where it failed or is skipped."`
	Photo  string         `json:"photo,omitempty" maxLength:"64" doc:"The id of a photo of the point (POST /points/{id}/photos)."`
	Value  *StepPlace     `json:"value,omitempty" doc:"Of the position: where the phone is."`
	By     *As            `json:"by,omitempty"`
}

// StepPlace is a position as a phone gives it.
type StepPlace struct {
	Lon       float64 `json:"lon"`
	Lat       float64 `json:"lat"`
	CRS       string  `json:"crs" doc:"WGS84, CGCS2000, GCJ02 or BD09."`
	AccuracyM float64 `json:"accuracy_m,omitempty" minimum:"0"`
}

type stepInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body NewStep
}

func (s *Server) sayStep(ctx context.Context, by grid.Actor, in *stepInput) (*body[grid.Visit], error) {
	v, err := s.visitFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	n := &in.Body
	w := grid.VisitWord{Step: n.Step, Result: n.Result, At: s.doneAt(n.At, n.Sent, v.Offline), Note: n.Note, Photo: n.Photo, By: n.By.actor(by)}
	if n.Value != nil {
		if w.Position, err = s.placeOf(n.Value); err != nil {
			return nil, err
		}
	}
	v, err = s.Visits.SayInVisit(ctx, in.ID, w, scopedKey(by, in.Key))
	return &body[grid.Visit]{v}, err
}

// placeOf takes a position in any system, and finds its cell.
func (s *Server) placeOf(p *StepPlace) (*grid.VisitPosition, error) {
	out := &grid.VisitPosition{AccuracyM: p.AccuracyM, CRS: p.CRS}
	var err error
	if out.Lon, out.Lat, _, err = geo.ToWGS84(p.Lon, p.Lat, p.CRS); err != nil {
		return nil, err
	}
	if s.Regions != nil {
		out.Cell = s.Regions.Map().At(out.Lon, out.Lat).Cell
	}
	return out, nil
}

// NewVerdict is a verdict as a person signs it.
type NewVerdict struct {
	Verdict string    `json:"verdict" enum:"pass,fail"`
	Reasons []string  `json:"reasons,omitempty" maxItems:"20" doc:"Why it fails."`
	Gateway bool      `json:"needs_gateway,omitempty" doc:"It fails for want of coverage: a gateway has to be put up here."`
	At      time.Time `json:"at,omitzero"`
	Sent    time.Time `json:"sent,omitzero" doc:"The phone's clock as it sends this."`
	By      *As       `json:"by,omitempty"`
}

type verdictInput struct {
	ID   string `path:"id"`
	Key  string `header:"Idempotency-Key" maxLength:"200"`
	Body NewVerdict
}

func (s *Server) finishVisit(ctx context.Context, by grid.Actor, in *verdictInput) (*body[grid.Visit], error) {
	v, err := s.visitFor(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	n := &in.Body
	v, err = s.Visits.FinishVisit(ctx, grid.VisitEnd{
		Visit: in.ID, Pass: n.Verdict == commission.Pass, Reasons: n.Reasons, Gateway: n.Gateway, At: s.doneAt(n.At, n.Sent, v.Offline), By: n.By.actor(by),
	}, scopedKey(by, in.Key))
	return &body[grid.Visit]{v}, err
}

func (s *Server) touchVisit(ctx context.Context, by grid.Actor, in *touchWindowInput) (*body[grid.Visit], error) {
	v, err := s.visitFor(ctx, by, in.ID)
	switch {
	case err != nil:
		return nil, err
	case v.Window == nil:
		return nil, grid.Errorf(grid.Conflict, "visit %s has no open window: alarms of point %s are dispatched", v.ID, v.Point)
	}
	_, err = s.Engine.TouchWindow(ctx, v.Window.ID, in.Body.Session)
	return &body[grid.Visit]{v}, err
}

func (s *Server) answerVisit(ctx context.Context, by grid.Actor, in *answerAlarmInput) (*body[grid.Visit], error) {
	if _, err := s.visitFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	v, err := s.Visits.AnswerVisit(ctx, in.ID, in.Body.answer(by))
	return &body[grid.Visit]{v}, err
}

type recordInput struct {
	ID   string `path:"id"`
	Lang string `query:"lang" enum:"zh,en" default:"zh"`
}

// streamVisit tells one visit as it goes. The reader is subscribed before the visit is read,
// so nothing falls between the two.
func (s *Server) streamVisit(ctx context.Context, by grid.Actor, in *idInput) (*huma.StreamResponse, error) {
	if _, err := s.visitFor(ctx, by, in.ID); err != nil {
		return nil, err
	}
	hands, err := s.hands(ctx, by)
	if err != nil {
		return nil, err
	}
	r, err := s.hub.subscribe(by, hands)
	if err != nil {
		return nil, err
	}
	v, err := s.visitFor(ctx, by, in.ID)
	if err != nil {
		s.hub.unsubscribe(r)
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer s.hub.unsubscribe(r)
		_, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Accel-Buffering", "no")
		out := &visitWriter{sseWriter: sseWriter{w: w, ctl: http.NewResponseController(w)}}
		if err := s.feedVisit(ctx, out, r, &v); err != nil && ctx.Err() == nil {
			s.Log.Debug("stream of a visit ended", "err", err)
		}
	}}, nil
}

// visitWriter knows which frames it has sent.
type visitWriter struct {
	sseWriter
	sent map[int]bool
}

func (o *visitWriter) visit(v grid.Visit) error {
	for i := range v.Frames {
		f := &v.Frames[i]
		if o.sent[f.N] {
			continue
		}
		if o.sent == nil {
			o.sent = map[int]bool{}
		}
		o.sent[f.N] = true
		if err := o.send(note{"", "frame", f}); err != nil {
			return err
		}
	}
	v.Frames, v.Before = nil, nil
	return o.send(note{"", "visit", v})
}

func (s *Server) feedVisit(ctx context.Context, out *visitWriter, r *reader, v *grid.Visit) error {
	if err := out.visit(*v); err != nil || !v.Live() {
		return err
	}
	beat := time.NewTicker(s.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			if err := out.comment("heartbeat"); err != nil {
				return err
			}
		case n, more := <-r.notes:
			if !more {
				return errors.New("cut: the queue was full, or the gateway stops")
			}
			now, is := n.data.(grid.Visit)
			if !is || now.ID != v.ID {
				continue
			}
			if err := out.visit(now); err != nil || !now.Live() {
				return err
			}
		}
	}
}
