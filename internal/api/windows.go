package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/grid"
)

// WindowStore and WindowEngine are what the API asks of windows and postures.
type WindowStore interface {
	ListWindows(context.Context, Query) (Page[grid.Window], error)
	Window(ctx context.Context, id string) (grid.Window, error)
	ListPostures(context.Context, Query) (Page[grid.Posture], error)
}

// WindowEngine changes them. OpenWindow is idempotent by the ID.
type WindowEngine interface {
	OpenWindow(ctx context.Context, w grid.Window) (grid.Window, error)
	ExtendWindow(ctx context.Context, id string, to time.Time, by grid.Actor, reason string) (grid.Window, error)
	TouchWindow(ctx context.Context, id, session string) (grid.Window, error)
	EndWindow(ctx context.Context, id string, by grid.Actor, reason string) (grid.Window, error)
	AnswerAlarm(ctx context.Context, alarm string, a grid.WindowAnswer) (grid.Alarm, error)
	AnswerPermit(ctx context.Context, window string, a grid.WindowAnswer) ([]grid.Alarm, error)
	SwitchPosture(ctx context.Context, p grid.Posture) (grid.Posture, error)
	Posture(ctx context.Context) (grid.Posture, error)
}

// family is one of the three faces of windows.
type family struct {
	s              *Server
	path, one, tag string
	kind           grid.WindowKind // "": any
	said           string
}

// windowRoutes: windows, of which permits and exercises have faces of their own, and the
// posture of the district.
func (s *Server) windowRoutes(api huma.API) {
	for _, f := range []family{
		{s, "/windows", "window", "windows", "", "Bounded times in which signals of named points are expected, newest first; kind commissioning, maintenance, permit, shelved, out_of_service or exercise; state open or ended"},
		{s, "/permits", "permit", "permits", grid.WindowPermit, "Work permits, newest first: crews that may lift covers; a unit sees its own"},
		{s, "/exercises", "exercise", "exercises", grid.WindowExercise, "Exercises, newest first"},
	} {
		f.routes(api)
	}
	op := post("/windows/{id}/touch", "touch-window", "windows", "Say that the technician's session is there")
	op.Description = "A window over smoke points ends when its session was silent for two minutes: the technician's app calls this every 30 s."
	route(s, api, operators|technicians, answerWithin, op, s.touchWindow)
	route(s, api, operators|technicians, answerWithin, get("/windows/{id}/questions", "list-window-questions", "windows", "The alarms for which a window asks now"), s.windowQuestions)
	route(s, api, operators|technicians, answerWithin, get("/windows/{id}/alarms", "list-window-alarms", "windows", "The alarms that a window covers or has covered, newest first: what was asked, what was answered"), s.coveredAlarms)
	route(s, api, viewers, answerWithin, get("/postures/effects", "list-posture-effects", "postures", "What each posture changes, from the rules"), s.postureEffects)
	route(s, api, operators|units, answerWithin, post("/permits/{id}/answer", "answer-permit", "permits", "Say for all open covers of a permit whether they are guarded"), s.answerPermit)
	op = post("/alarms/{id}/answer", "answer-alarm", "alarms", "Answer the question that a window asks of an alarm")
	op.Description = "Yes: it is the technician's test, or the open cover is guarded. No dispatches at once, and so does no answer in time."
	route(s, api, operators|units, answerWithin, op, s.answerAlarm)
	route(s, api, viewers|walls, answerWithin, get("/posture", "get-posture", "postures", "The posture of the district"), func(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[grid.Posture], error) {
		p, err := s.Engine.Posture(ctx)
		return &body[grid.Posture]{p}, err
	})
	route(s, api, supervisors, answerWithin, post("/posture", "switch-posture", "postures", "Switch the posture: the duty lead, with an end"), s.switchPosture)
	list(s, api, viewers, get("/postures", "list-postures", "postures", "Postures that there were, newest first; kind is the posture"), s.Store.ListPostures)
}

func (f family) routes(api huma.API) {
	s := f.s
	who, act := f.roles()
	list(s, api, viewers|units|walls, get(f.path, "list-"+f.tag, f.tag, f.said), f.list)
	route(s, api, who, answerWithin, get(f.path+"/{id}", "get-"+f.one, f.tag, "One "+f.one), f.get)
	op := post(f.path, "open-"+f.one, f.tag, "Open a "+f.one)
	if f.one == "exercise" {
		op.Summary = "Plan or begin an exercise"
	}
	op.DefaultStatus = http.StatusCreated
	route(s, api, act, answerWithin, op, f.open)
	route(s, api, act, answerWithin, post(f.path+"/{id}/extend", "extend-"+f.one, f.tag, "Move the end of an open "+f.one), f.extend)
	route(s, api, act, answerWithin, post(f.path+"/{id}/end", "end-"+f.one, f.tag, "End a "+f.one+": what it covers and is still active is judged again"), f.end)
}

// roles are those that may read one, and act.
func (f family) roles() (who, act access) {
	switch f.kind {
	case "":
		return operators | technicians, operators | technicians // their own, over points in their hands
	case grid.WindowExercise:
		return operators, supervisors
	}
	return operators, operators
}

func (f family) list(ctx context.Context, q Query) (Page[grid.Window], error) {
	if f.kind != "" {
		q.Kind = string(f.kind)
	}
	page, err := f.s.Store.ListWindows(ctx, q)
	for i := range page.Items {
		page.Items[i] = shown(page.Items[i])
	}
	return page, err
}

// find gives a window of this face to who may hold it.
func (f family) find(ctx context.Context, by grid.Actor, id string) (grid.Window, error) {
	w, err := f.s.Store.Window(ctx, id)
	if err == nil && f.kind != "" && w.Kind != f.kind {
		err = grid.Errorf(grid.NotFound, "%s %q: not found, that window is %s", f.one, id, w.Kind)
	}
	if err == nil {
		err = holds(by, &w)
	}
	return w, err
}

func (f family) get(ctx context.Context, by grid.Actor, in *idInput) (*body[grid.Window], error) {
	w, err := f.find(ctx, by, in.ID)
	return &body[grid.Window]{shown(w)}, err
}

func (f family) open(ctx context.Context, by grid.Actor, in *openWindowInput) (*body[grid.Window], error) {
	w, err := in.window(f, by, f.s.Now().UTC())
	if err != nil {
		return nil, err
	}
	if err := f.s.forOwnWork(ctx, by, &w); err != nil {
		return nil, err
	}
	w, err = f.s.Engine.OpenWindow(ctx, w)
	return &body[grid.Window]{shown(w)}, err
}

func (f family) extend(ctx context.Context, by grid.Actor, in *extendWindowInput) (*body[grid.Window], error) {
	if _, err := f.find(ctx, by, in.ID); err != nil {
		return nil, err
	}
	to, err := endOf(in.Body.To, in.Body.For, f.s.Now().UTC())
	if err != nil {
		return nil, err
	}
	w, err := f.s.Engine.ExtendWindow(ctx, in.ID, to, in.Body.By.actor(by), in.Body.Reason)
	return &body[grid.Window]{shown(w)}, err
}

func (f family) end(ctx context.Context, by grid.Actor, in *endWindowInput) (*body[grid.Window], error) {
	if _, err := f.find(ctx, by, in.ID); err != nil {
		return nil, err
	}
	reason := ""
	if in.Body != nil {
		reason, by = in.Body.Reason, in.Body.By.actor(by)
	}
	w, err := f.s.Engine.EndWindow(ctx, in.ID, by, reason)
	return &body[grid.Window]{shown(w)}, err
}

// shown is a window without its session: who knows it may say "it is me".
func shown(w grid.Window) grid.Window {
	w.Session = ""
	return w
}

// NewWindow is a window as it is asked for.
type NewWindow struct {
	Kind    grid.WindowKind  `json:"kind,omitempty" enum:"commissioning,maintenance,permit,shelved,out_of_service,exercise"`
	Points  []string         `json:"points,omitempty" maxItems:"500" doc:"The points that it covers. Smoke points must be named here."`
	Area    grid.Area        `json:"area,omitzero" doc:"And those of a street, compound or building, smoke points apart."`
	Types   []grid.EventType `json:"types,omitempty" maxItems:"30" doc:"Only these event types; shelved: at least one."`
	From    time.Time        `json:"from,omitzero" doc:"Default now."`
	To      time.Time        `json:"to,omitzero" doc:"When it ends by itself; or for."`
	For     string           `json:"for,omitempty" doc:"How long, for example 20m or 4h; or to."`
	Reason  string           `json:"reason,omitempty" maxLength:"1000"`
	Holder  string           `json:"holder,omitempty" maxLength:"200" doc:"Of a permit: the unit's id, or a person."`
	Session string           `json:"session,omitempty" maxLength:"200" doc:"Of the technician; wanted on smoke points."`
	Patrol  string           `json:"patrol,omitempty" maxLength:"200" doc:"Smoke out of service: who walks there meanwhile."`
	Lead    string           `json:"lead,omitempty" maxLength:"200" doc:"Of an exercise."`
	Script  []ScriptLine     `json:"script,omitempty" maxItems:"500" doc:"Of an exercise: the alarms that it expects. What is not in it is live."`
	By      *As              `json:"by,omitempty"`
}

// ScriptLine is one alarm that an exercise expects; without times, at any time of it.
type ScriptLine struct {
	Point string         `json:"point"`
	Type  grid.EventType `json:"type"`
	From  time.Time      `json:"from,omitzero"`
	To    time.Time      `json:"to,omitzero"`
}

type openWindowInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"The same key again gives what has become of the first."`
	Body NewWindow
}

func (in *openWindowInput) window(f family, by grid.Actor, now time.Time) (grid.Window, error) {
	n := &in.Body
	w := grid.Window{
		Kind: n.Kind, Points: n.Points, Area: n.Area, Types: n.Types, From: n.From, By: n.By.actor(by), Reason: n.Reason,
		Holder: n.Holder, Session: n.Session, Patrol: n.Patrol, Lead: n.Lead,
	}
	if f.kind != "" {
		if w.Kind != "" && w.Kind != f.kind {
			return w, grid.Errorf(grid.Invalid, "kind is %q: want %s here, or none", w.Kind, f.kind)
		}
		w.Kind = f.kind
	}
	for _, x := range n.Script {
		w.Script = append(w.Script, grid.Expected(x))
	}
	if in.Key != "" {
		w.ID = grid.NewID(time.Time{}, "window/"+in.Key, 0)
	}
	from := n.From
	if from.IsZero() {
		from = now
	}
	var err error
	w.To, err = endOf(n.To, n.For, from)
	return w, err
}

// endOf is an end that is given as a time, or as a length from a beginning.
func endOf(to time.Time, length string, from time.Time) (time.Time, error) {
	if length == "" {
		return to, nil
	}
	d, err := time.ParseDuration(length)
	if err != nil || d <= 0 || !to.IsZero() {
		return to, grid.Errorf(grid.Invalid, "for is %q: want how long, such as 20m or 4h, and no to beside it", length)
	}
	return from.Add(d), nil
}

type extendWindowInput struct {
	ID   string `path:"id"`
	Body struct {
		To     time.Time `json:"to,omitzero"`
		For    string    `json:"for,omitempty" doc:"How long from now; or to."`
		Reason string    `json:"reason,omitempty" maxLength:"1000"`
		By     *As       `json:"by,omitempty"`
	}
}

type endWindowInput struct {
	ID   string `path:"id"`
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"1000"`
		By     *As    `json:"by,omitempty"`
	} `required:"false"`
}

type touchWindowInput struct {
	ID   string `path:"id"`
	Body struct {
		Session string `json:"session" minLength:"1" maxLength:"200"`
	}
}

func (s *Server) touchWindow(ctx context.Context, _ grid.Actor, in *touchWindowInput) (*body[grid.Window], error) {
	w, err := s.Engine.TouchWindow(ctx, in.ID, in.Body.Session)
	return &body[grid.Window]{shown(w)}, err
}

// NewAnswer is the word of who was asked.
type NewAnswer struct {
	Answer  string `json:"answer" enum:"yes,no"`
	Session string `json:"session,omitempty" maxLength:"200" doc:"Of the technician who says yes."`
	By      *As    `json:"by,omitempty"`
}

func (n *NewAnswer) answer(by grid.Actor) grid.WindowAnswer {
	return grid.WindowAnswer{Yes: n.Answer == "yes", Session: n.Session, By: n.By.actor(by)}
}

type answerAlarmInput struct {
	ID   string `path:"id"`
	Body NewAnswer
}

func (s *Server) answerAlarm(ctx context.Context, by grid.Actor, in *answerAlarmInput) (*body[grid.Alarm], error) {
	a, err := s.Engine.AnswerAlarm(ctx, in.ID, in.Body.answer(by))
	return &body[grid.Alarm]{a}, err
}

func (s *Server) answerPermit(ctx context.Context, by grid.Actor, in *answerAlarmInput) (*body[Page[grid.Alarm]], error) {
	all, err := s.Engine.AnswerPermit(ctx, in.ID, in.Body.answer(by))
	return &body[Page[grid.Alarm]]{Page[grid.Alarm]{Items: all}}, err
}

// NewPosture is a posture as it is asked for; normal wants no end.
type NewPosture struct {
	Posture grid.PostureName `json:"posture" enum:"normal,festival,typhoon,heavy_rain,cold_wave"`
	To      time.Time        `json:"to,omitzero"`
	For     string           `json:"for,omitempty" doc:"How long, for example 12h; or to."`
	Reason  string           `json:"reason,omitempty" maxLength:"1000"`
	By      *As              `json:"by,omitempty"`
}

func (s *Server) switchPosture(ctx context.Context, by grid.Actor, in *struct{ Body NewPosture }) (*body[grid.Posture], error) {
	n := &in.Body
	to, err := endOf(n.To, n.For, s.Now().UTC())
	if err != nil {
		return nil, err
	}
	p, err := s.Engine.SwitchPosture(ctx, grid.Posture{Name: n.Posture, To: to, By: n.By.actor(by), Reason: n.Reason})
	return &body[grid.Posture]{p}, err
}

// OpenWindow opens a window. key makes it safe to repeat; "" does not.
func (c *Client) OpenWindow(ctx context.Context, n NewWindow, key string) (grid.Window, error) {
	return call[grid.Window](ctx, c, http.MethodPost, "/api/v1/windows", nil, &content{json: n, key: key})
}

// Window reads one window.
func (c *Client) Window(ctx context.Context, id string) (grid.Window, error) {
	return call[grid.Window](ctx, c, http.MethodGet, windowPath(id, ""), nil, nil)
}

// ExtendWindow moves the end of an open window.
func (c *Client) ExtendWindow(ctx context.Context, id string, to time.Time, reason string) (grid.Window, error) {
	return call[grid.Window](ctx, c, http.MethodPost, windowPath(id, "/extend"), nil, &content{json: map[string]any{"to": to, "reason": reason}})
}

// TouchWindow says that the technician's session is there.
func (c *Client) TouchWindow(ctx context.Context, id, session string) (grid.Window, error) {
	return call[grid.Window](ctx, c, http.MethodPost, windowPath(id, "/touch"), nil, &content{json: map[string]string{"session": session}})
}

// EndWindow ends a window.
func (c *Client) EndWindow(ctx context.Context, id, reason string) (grid.Window, error) {
	return call[grid.Window](ctx, c, http.MethodPost, windowPath(id, "/end"), nil, &content{json: map[string]string{"reason": reason}})
}

// AnswerAlarm answers the question that a window asks of an alarm.
func (c *Client) AnswerAlarm(ctx context.Context, alarm string, n NewAnswer) (grid.Alarm, error) {
	return call[grid.Alarm](ctx, c, http.MethodPost, "/api/v1/alarms/"+url.PathEscape(alarm)+"/answer", nil, &content{json: n})
}

// AnswerPermit answers for all open covers of a permit.
func (c *Client) AnswerPermit(ctx context.Context, id string, n NewAnswer) (Page[grid.Alarm], error) {
	return call[Page[grid.Alarm]](ctx, c, http.MethodPost, "/api/v1/permits/"+url.PathEscape(id)+"/answer", nil, &content{json: n})
}

// Posture reads the posture of the district.
func (c *Client) Posture(ctx context.Context) (grid.Posture, error) {
	return call[grid.Posture](ctx, c, http.MethodGet, "/api/v1/posture", nil, nil)
}

// SwitchPosture switches it.
func (c *Client) SwitchPosture(ctx context.Context, n NewPosture) (grid.Posture, error) {
	return call[grid.Posture](ctx, c, http.MethodPost, "/api/v1/posture", nil, &content{json: n})
}

func windowPath(id, what string) string { return "/api/v1/windows/" + url.PathEscape(id) + what }
