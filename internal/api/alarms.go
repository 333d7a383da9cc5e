package api

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// alarmRoutes: the operators' queue, acknowledgements, and what is wrong with alarms.
func (s *Server) alarmRoutes(api huma.API) {
	list(s, api, viewers|walls, get("/alarms", "list-alarms", "alarms", "Alarm episodes, newest first"), s.alarms)
	route(s, api, viewers|walls, answerWithin, get("/alarms/queue", "alarm-queue", "alarms", "What an operator of a scope has before them, by need; in a flood grouped by cell and cause"), s.alarmQueue)
	route(s, api, viewers, answerWithin, get("/alarms/health", "alarm-health", "alarms", "Chattering, fleeting and stale alarms"), s.alarmHealth)
	route(s, api, viewers|walls, answerWithin, get("/alarms/{id}", "get-alarm", "alarms", "One episode"),
		func(ctx context.Context, _ grid.Actor, in *idInput) (*body[AlarmView], error) {
			a, err := s.Store.Alarm(ctx, in.ID)
			return &body[AlarmView]{viewOf(a)}, err
		})
	route(s, api, operators, answerWithin, get("/alarms/{id}/history", "alarm-history", "alarms", "Who acknowledged it and what was said, oldest first"), s.alarmHistory)
	route(s, api, operators, answerWithin, post("/alarms/{id}/ack", "acknowledge-alarm", "alarms", "Say that someone has seen it: calls and sounds stop, clocks run on"), s.ackAlarm)
	route(s, api, operators, answerWithin, post("/alarms/{id}/comment", "comment-alarm", "alarms", "Add words to it"), s.commentAlarm)
	many := post("/alarms/ack", "acknowledge-alarms", "alarms", "Acknowledge many: each as it was shown, one that has changed since is left")
	route(s, api, operators, answerWithin, many, s.ackAlarms)
}

// AlarmView is an episode with the word for its state.
type AlarmView struct {
	grid.Alarm
	State alarm.StateWord `json:"state"`
}

func viewOf(a grid.Alarm) AlarmView { return AlarmView{a, alarm.State(&a)} }

func (s *Server) alarms(ctx context.Context, q Query) (Page[AlarmView], error) {
	page, err := s.Store.ListAlarms(ctx, q)
	out := Page[AlarmView]{Next: page.Next}
	for i := range page.Items {
		out.Items = append(out.Items, viewOf(page.Items[i]))
	}
	return out, err
}

// floodHorizon is how far back a flood is followed to its beginning.
const floodHorizon = 24 * time.Hour

func (s *Server) alarmQueue(ctx context.Context, by grid.Actor, in *listInput) (*body[alarm.Queue], error) {
	now := s.Now()
	q := in.query(by)
	q.Limit = 0
	got, err := s.Store.AlarmQueue(ctx, q, now.Add(-floodHorizon))
	if err != nil {
		return nil, err
	}
	var flood alarm.Flood
	causes := func(grid.EventType) string { return "" }
	if r := s.rulesNow(); r != nil {
		flood = r.Flood()
		causes = func(t grid.EventType) string {
			if g := r.Group(t); g != nil {
				return g.Name
			}
			return ""
		}
	}
	queue := alarm.QueueOf(got.Alarms, flood.Since(got.Raised, now), causes)
	if n := len(queue.Entries) - in.Limit; n > 0 {
		queue.Entries, queue.More = queue.Entries[:in.Limit], n
	}
	return &body[alarm.Queue]{queue}, nil
}

// AlarmHealth is what is wrong with the alarms of a scope: what to mend at its source.
type AlarmHealth struct {
	Since      time.Time        `json:"since"`
	Until      time.Time        `json:"until"`
	Chattering []alarm.Nuisance `json:"chattering"`
	Fleeting   []alarm.Nuisance `json:"fleeting"`
	Stale      []AlarmView      `json:"stale"`
	Partial    bool             `json:"partial,omitempty" doc:"There was more in the time than is looked at: the newest was."`
}

// healthTurns is how many changes one question looks at.
const healthTurns = 100_000

func (s *Server) alarmHealth(ctx context.Context, by grid.Actor, in *listInput) (*body[AlarmHealth], error) {
	now := s.Now().UTC()
	q := in.query(by)
	q.Limit, q.Until = 0, cmp.Or(q.Until, now)
	q.Since = cmp.Or(q.Since, q.Until.Add(-24*time.Hour))
	turns, err := s.Store.AlarmTurns(ctx, q, healthTurns)
	if err != nil {
		return nil, err
	}
	at := q
	at.Since, at.Until = time.Time{}, time.Time{}
	active, err := s.Store.AlarmQueue(ctx, at, now)
	if err != nil {
		return nil, err
	}
	var h alarm.Health
	if r := s.rulesNow(); r != nil {
		h = r.Health()
	}
	all := turnsOf(turns)
	out := AlarmHealth{Since: q.Since, Until: q.Until, Chattering: h.Chatter(all), Fleeting: h.Fleets(all), Stale: []AlarmView{}, Partial: len(turns) == healthTurns}
	for _, a := range h.StaleOf(active.Alarms, now) {
		out.Stale = append(out.Stale, viewOf(a))
	}
	return &body[AlarmHealth]{out}, nil
}

func turnsOf(rows []state.AlarmTurn) []alarm.Turn {
	out := make([]alarm.Turn, len(rows))
	for i, t := range rows {
		out[i] = alarm.Turn{Alarm: t.Alarm, Where: cmp.Or(t.Point, string(t.Device)), Type: t.Type, Active: t.Active, At: t.At}
	}
	return out
}

func (s *Server) alarmHistory(ctx context.Context, _ grid.Actor, in *idInput) (*body[Page[state.Audit]], error) {
	if _, err := s.Store.Alarm(ctx, in.ID); err != nil {
		return nil, err
	}
	rows, err := s.Store.AuditOf(ctx, in.ID)
	return &body[Page[state.Audit]]{Page[state.Audit]{Items: append([]state.Audit{}, rows...)}}, err
}

// Ack is a person's word that they know of an alarm.
type Ack struct {
	Comment  string `json:"comment,omitempty" maxLength:"1000"`
	Revision *int   `json:"revision,omitempty" doc:"What was seen: refused if it has changed since."`
	By       *As    `json:"by,omitempty"`
}

type ackInput struct {
	ID   string `path:"id"`
	Body *Ack   `required:"false"`
}

func (s *Server) ackAlarm(ctx context.Context, by grid.Actor, in *ackInput) (*body[AlarmView], error) {
	if in.Body == nil {
		in.Body = &Ack{}
	}
	by = in.Body.By.actor(by)
	if in.Body.Revision == nil {
		a, err := s.Engine.Ack(ctx, in.ID, in.Body.Comment, by)
		return &body[AlarmView]{viewOf(a)}, err
	}
	all, err := s.Engine.AckAll(ctx, []alarm.Seen{{ID: in.ID, Revision: *in.Body.Revision}}, in.Body.Comment, by)
	switch {
	case err != nil:
		return nil, err
	case len(all.Refused) > 0:
		return nil, grid.Errorf(grid.Conflict, "alarm %s: %s", in.ID, all.Refused[0].Why)
	}
	return &body[AlarmView]{viewOf(all.Acked[0])}, nil
}

// AckMany acknowledges alarms, each as it was shown.
type AckMany struct {
	Alarms  []alarm.Seen `json:"alarms" minItems:"1" maxItems:"1000"`
	Comment string       `json:"comment,omitempty" maxLength:"1000"`
	By      *As          `json:"by,omitempty"`
}

func (s *Server) ackAlarms(ctx context.Context, by grid.Actor, in *struct{ Body AckMany }) (*body[alarm.AckedAll], error) {
	all, err := s.Engine.AckAll(ctx, in.Body.Alarms, in.Body.Comment, in.Body.By.actor(by))
	return &body[alarm.AckedAll]{all}, err
}

type commentInput struct {
	ID   string `path:"id"`
	Body struct {
		Comment string `json:"comment" minLength:"1" maxLength:"1000"`
		By      *As    `json:"by,omitempty"`
	}
}

func (s *Server) commentAlarm(ctx context.Context, by grid.Actor, in *commentInput) (*body[AlarmView], error) {
	a, err := s.Engine.Comment(ctx, in.ID, in.Body.Comment, in.Body.By.actor(by))
	return &body[AlarmView]{viewOf(a)}, err
}

// Queue reads what an operator of a scope has before them; of q it uses Scope, Cell, Type and Limit.
func (c *Client) Queue(ctx context.Context, q Query) (alarm.Queue, error) {
	return call[alarm.Queue](ctx, c, http.MethodGet, "/api/v1/alarms/queue", values(q), nil)
}

// AlarmHealth reads chattering, fleeting and stale alarms.
func (c *Client) AlarmHealth(ctx context.Context, q Query) (AlarmHealth, error) {
	return call[AlarmHealth](ctx, c, http.MethodGet, "/api/v1/alarms/health", values(q), nil)
}

// Ack says that someone has seen an alarm.
func (c *Client) Ack(ctx context.Context, id string, a Ack) (AlarmView, error) {
	return call[AlarmView](ctx, c, http.MethodPost, "/api/v1/alarms/"+url.PathEscape(id)+"/ack", nil, &content{json: a})
}

// AckMany says so of many, each as it was shown.
func (c *Client) AckMany(ctx context.Context, m AckMany) (alarm.AckedAll, error) {
	return call[alarm.AckedAll](ctx, c, http.MethodPost, "/api/v1/alarms/ack", nil, &content{json: m})
}

// CommentAlarm adds words to an alarm.
func (c *Client) CommentAlarm(ctx context.Context, id, comment string, by *As) (AlarmView, error) {
	said := struct {
		Comment string `json:"comment"`
		By      *As    `json:"by,omitempty"`
	}{comment, by}
	return call[AlarmView](ctx, c, http.MethodPost, "/api/v1/alarms/"+url.PathEscape(id)+"/comment", nil, &content{json: said})
}

// Alarm reads one episode.
func (c *Client) Alarm(ctx context.Context, id string) (AlarmView, error) {
	return call[AlarmView](ctx, c, http.MethodGet, "/api/v1/alarms/"+url.PathEscape(id), nil, nil)
}

// AlarmHistory reads who acknowledged an alarm and what was said.
func (c *Client) AlarmHistory(ctx context.Context, id string) (Page[state.Audit], error) {
	return call[Page[state.Audit]](ctx, c, http.MethodGet, "/api/v1/alarms/"+url.PathEscape(id)+"/history", nil, nil)
}
