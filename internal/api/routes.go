package api

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gridgate/internal/grid"
)

// routes is the whole of /api/v1.
func (s *Server) routes(api huma.API) {
	s.meRoute(api)
	s.sessionRoutes(api)
	s.userRoutes(api)
	s.registryRoutes(api)
	s.importRoutes(api)
	s.tileRoutes(api)
	s.mapRoutes(api)
	s.credentialRoutes(api)
	s.keyRoutes(api)
	s.eventRoutes(api)
	s.filingRoutes(api)
	s.alarmRoutes(api)
	s.ticketRoutes(api)
	s.peopleRoutes(api)
	s.dutyRoutes(api)
	s.dutyDeskRoutes(api)
	s.evidenceRoutes(api)
	s.taskRoutes(api)
	s.roundRoutes(api)
	s.contractorRoutes(api)
	s.deliveryRoutes(api)
	s.unitRoutes(api)
	s.figureRoutes(api)
	s.downlinkRoutes(api)
	s.windowRoutes(api)
	s.regionRoutes(api)
	s.visitRoutes(api)
	s.frameRoutes(api)
	s.linkRoutes(api)
	s.profileRoutes(api)
	s.streamRoute(api)
	s.backupRoute(api)
	s.standbyRoutes(api)
	s.systemRoutes(api)
	s.reloadRoute(api)
	s.auditRoutes(api)
	s.eraseRoute(api)
	s.fieldRoute(api)
}

// get and post describe an operation; the id is what client generators name it by.
func get(path, id, tag, summary string) huma.Operation {
	return huma.Operation{Method: http.MethodGet, Path: "/api/v1" + path, OperationID: id, Tags: []string{tag}, Summary: summary}
}

func post(path, id, tag, summary string) huma.Operation {
	op := get(path, id, tag, summary)
	op.Method, op.MaxBodyBytes, op.DefaultStatus = http.MethodPost, maxBody, http.StatusOK
	return op
}

// caller is who asks, and the connection it asks on.
type caller struct {
	by  grid.Actor
	ctl *http.ResponseController
	id  string // of the path
}

type callerKey struct{}

// route registers one operation: it authenticates, sets the deadline, hands the actor to
// fn and turns fn's error into a problem. within 0 means the answer has no deadline.
func route[I, O any](s *Server, api huma.API, who access, within time.Duration, op huma.Operation, fn func(ctx context.Context, by grid.Actor, in *I) (*O, error)) {
	op.Security = []map[string][]string{{"token": {}}}
	op.Extensions = marked(&op, who)
	op.Extensions["x-scope"] = narrowings[op.OperationID].String()
	op.Errors = []int{401, 403, 404, 422, 500, 503}
	if op.Method != http.MethodGet {
		op.Errors = append(op.Errors, 409, 413)
	}
	op.Middlewares = append(op.Middlewares, func(hc huma.Context, next func(huma.Context)) {
		hc, trail := s.follow(hc, &op)
		defer trail.end(hc)
		by, err := s.authenticate(hc, who)
		trail.by(by)
		if s.Caller != nil {
			s.Caller(hc.Context(), by)
		}
		if err != nil {
			trail.refused(grid.CodeOf(err))
			refuse(hc, err)
			return
		}
		_, w := humago.Unwrap(hc)
		ctx := context.WithValue(hc.Context(), callerKey{}, caller{by, http.NewResponseController(w), hc.Param("id") + hc.Param("identity")})
		if within > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, within)
			defer cancel()
		} else { // what is streamed is written before next returns
			held, release, err := s.hold(ctx, by)
			defer release()
			if err != nil {
				refuse(hc, err)
				return
			}
			ctx = held
		}
		next(huma.WithContext(hc, ctx))
	})
	huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
		c := ctx.Value(callerKey{}).(caller)
		if within == 0 {
			c.ctl.SetWriteDeadline(time.Time{}) // over the server's; not supported: then there is none
		}
		trail := trailOf(ctx)
		trail.asked(ctx, in)
		out, err := (*O)(nil), s.keepInside(ctx, c.by, op.OperationID, c.id, in)
		if err == nil {
			if out, err = fn(ctx, c.by, in); err == nil {
				out, err = leaveOutside(ctx, s, c.by, out)
			}
		}
		trail.told(ctx, out, err)
		if err != nil {
			return nil, s.said(err, op.Path)
		}
		if looksOn(c.by) {
			out = bare(out)
		}
		return out, nil
	})
}

// hold ends a stream with the term of the unit that reads it and with the session, and keeps the
// session from ending by idleness meanwhile.
func (s *Server) hold(ctx context.Context, by grid.Actor) (context.Context, context.CancelFunc, error) {
	ctx, cancel, err := s.whileInTerm(ctx, by)
	if err != nil || s.Accounts == nil {
		return ctx, cancel, err
	}
	ctx, release := s.Accounts.Hold(ctx, by)
	return ctx, func() { release(); cancel() }, nil
}

func (s *Server) authenticate(hc huma.Context, who access) (grid.Actor, error) {
	token, ok := strings.CutPrefix(hc.Header("Authorization"), "Bearer ")
	if !ok {
		token = ""
	}
	if !ok && hc.Header("Cookie") != "" {
		r, _ := humago.Unwrap(hc)
		token = s.cookie(r)
	}
	by, err := s.Who(hc.Context(), strings.TrimSpace(token))
	if err != nil {
		return grid.Actor{}, err
	}
	if err := s.asMeant(by, hc.Header(accountHeader)); err != nil {
		return grid.Actor{}, err
	}
	return by, s.allow(hc.Context(), by, who)
}

// reach is what of the registry by may see and change: everything (a zero scope), the part of the
// city that the account is limited to, or for a maintenance contractor the points that are in its hands.
func (s *Server) reach(ctx context.Context, by grid.Actor) (grid.Scope, error) {
	if by.Role != grid.RoleUnit {
		return partOf(by), nil
	}
	u, ok, err := s.unitOf(ctx, by)
	if err != nil {
		return grid.Scope{}, err
	}
	if !ok || u.Kind != grid.Maintenance {
		return grid.Scope{}, grid.Errorf(grid.Forbidden, "unit %s does no maintenance: its token reaches its own tickets and deliveries alone", by.Unit)
	}
	u.Contractor = u.InHands()
	return both(u.Scope, partOf(by))
}

// within narrows a query to by's reach. Asking for another's place is refused, so that an
// empty page never means "not yours".
func (s *Server) within(ctx context.Context, by grid.Actor, q *Query) error {
	reach, err := s.reach(ctx, by)
	if err != nil || reach == (grid.Scope{}) {
		return err
	}
	if by.Role == grid.RoleUnit {
		q.Unit = ""
	}
	for _, c := range []struct {
		name       string
		asked, own *string
	}{
		{"district", &q.Scope.District, &reach.District}, {"street", &q.Scope.Street, &reach.Street}, {"community", &q.Scope.Community, &reach.Community},
		{"compound", &q.Scope.Compound, &reach.Compound}, {"contractor", &q.Scope.Contractor, &reach.Contractor},
	} {
		if *c.own != "" && *c.asked != "" && *c.asked != *c.own {
			return grid.Errorf(grid.Forbidden, "%s is %q: this token reaches %q alone", c.name, *c.asked, *c.own)
		}
		*c.asked = cmp.Or(*c.own, *c.asked)
	}
	return nil
}

// listInput is what every list takes.
type listInput struct {
	Limit     int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor    string    `query:"cursor" doc:"The next of the page before."`
	District  string    `query:"district" doc:"District code, 6 digits."`
	Street    string    `query:"street" doc:"Street code, 9 digits."`
	Community string    `query:"community" doc:"Community code, 12 digits."`
	Compound  string    `query:"compound"`
	Cell      string    `query:"cell" doc:"Unit grid cell, 15 digits."`
	Kind      string    `query:"kind"`
	State     string    `query:"state"`
	Type      string    `query:"type" doc:"Event type, for example smoke.alarm."`
	Point     string    `query:"point"`
	Device    string    `query:"device"`
	Ticket    string    `query:"ticket"`
	Unit      string    `query:"unit"`
	Profile   string    `query:"profile" doc:"Of a device, or of a quarantined frame's device."`
	Text      string    `query:"q" doc:"Words to look for."`
	Since     time.Time `query:"since"`
	Until     time.Time `query:"until"`

	contractor string // of who is limited to its points
	joined     bool
}

// query is the store's form of it, narrowed to what by may see.
func (in *listInput) query(by grid.Actor) Query {
	q := Query{
		Scope: grid.Scope{District: in.District, Street: in.Street, Community: in.Community, Compound: in.Compound, Contractor: in.contractor}, Joined: in.joined,
		Unit: in.Unit, Cell: in.Cell, Kind: in.Kind, State: in.State, Type: in.Type,
		Point: in.Point, Device: in.Device, Ticket: in.Ticket, Text: in.Text, Profile: in.Profile,
		Since: in.Since, Until: in.Until, Limit: in.Limit, Cursor: in.Cursor,
	}
	if by.Role == grid.RoleUnit {
		q.Unit = by.Unit
	}
	return q
}

// body is an answer with nothing but a body.
type body[T any] struct{ Body T }

// list registers a list that from reads.
func list[T any](s *Server, api huma.API, who access, op huma.Operation, from func(context.Context, Query) (Page[T], error)) {
	route(s, api, who, answerWithin, op, func(ctx context.Context, by grid.Actor, in *listInput) (*body[Page[T]], error) {
		q := in.query(by)
		if who&technicians != 0 {
			if err := s.within(ctx, by, &q); err != nil {
				return nil, err
			}
		}
		page, err := from(ctx, q)
		if err != nil {
			return nil, err
		}
		if page.Items == nil {
			page.Items = []T{}
		}
		return &body[Page[T]]{page}, nil
	})
}

type idInput struct {
	ID string `path:"id"`
}
