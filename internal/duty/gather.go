package duty

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gridgate/internal/grid"
	"gridgate/internal/state"
)

// Source is what a sheet of handover is gathered from: what is committed.
type Source interface {
	ListTickets(ctx context.Context, q state.Query) (state.Page[grid.Ticket], error)
	AlarmQueue(ctx context.Context, q state.Query, since time.Time) (state.AlarmQueue, error)
	ListWindows(ctx context.Context, q state.Query) (state.Page[grid.Window], error)
	ListPostures(ctx context.Context, q state.Query) (state.Page[grid.Posture], error)
	ListVisits(ctx context.Context, q state.Query) (state.Page[grid.Visit], error)
	ListAudit(ctx context.Context, q state.Query) (state.Page[state.Audit], error)
	ListHandovers(ctx context.Context, q state.Query) (state.Page[grid.Handover], error)
	Seats(ctx context.Context) ([]grid.Seat, error)
}

// Sections of a handover, in their order.
var sections = []struct {
	key   string
	title grid.Text
}{
	{"untaken", grid.Text{ZH: "无人接手的警情", EN: "Alarms that nobody has taken"}},
	{"urgent", grid.Text{ZH: "未结案的一、二级工单", EN: "Open tickets of P1 and P2"}},
	{"overdue", grid.Text{ZH: "超时工单", EN: "Overdue tickets"}},
	{"protection", grid.Text{ZH: "失去消防监护", EN: "Protection lost"}},
	{"silent", grid.Text{ZH: "静默的网关与通道", EN: "Silent gateways and ways in"}},
	{"unreachable", grid.Text{ZH: "联系不上的单位", EN: "Units that cannot be reached"}},
	{"shelved", grid.Text{ZH: "搁置与停用", EN: "Shelved and out of service"}},
	{"commissioning", grid.Text{ZH: "待完成的调试", EN: "Commissionings not proven"}},
	{"permits", grid.Text{ZH: "作业许可", EN: "Permits"}},
	{"works", grid.Text{ZH: "检修与安装窗口", EN: "Maintenance and installation"}},
	{"exercises", grid.Text{ZH: "演练", EN: "Exercises"}},
	{"posture", grid.Text{ZH: "勤务等级", EN: "Posture"}},
	{"seats", grid.Text{ZH: "席位", EN: "Seats"}},
	{"notes", grid.Text{ZH: "备注", EN: "Notes"}},
}

const (
	maxLines = 200    // of a section; all are counted
	maxRead  = 50_000 // rows of one list
	pageSize = 1000
	aDay     = 24 * time.Hour
)

// Gather works out what goes over at a time. names words an event type; note is added to the notes.
func Gather(ctx context.Context, from Source, at time.Time, names func(grid.EventType) string, note grid.HandoverLine) (grid.Handover, error) {
	h := grid.Handover{Made: at.UTC(), From: at.Add(-aDay).UTC(), Posture: grid.PostureNormal}
	g := gathering{h: &h, at: at, names: names, sections: map[string]*grid.HandoverSection{}}
	for _, s := range sections {
		h.Sections = append(h.Sections, grid.HandoverSection{Key: s.key, Title: s.title, Lines: []grid.HandoverLine{}})
	}
	for i := range h.Sections {
		g.sections[h.Sections[i].Key] = &h.Sections[i]
	}
	last, err := from.ListHandovers(ctx, state.Query{Limit: 1})
	if err != nil {
		return h, err
	}
	if len(last.Items) > 0 && last.Items[0].Made.After(h.From) {
		h.From = last.Items[0].Made
	}
	for _, part := range []func(context.Context, Source) error{g.tickets, g.alarms, g.windows, g.postures, g.visits, g.seats, g.comments} {
		if err := part(ctx, from); err != nil {
			return h, fmt.Errorf("gather the handover: %w", err)
		}
	}
	if note.What != "" {
		note.Kind, note.Since = "note", at.UTC()
		g.add("notes", note)
	}
	return h, nil
}

type gathering struct {
	h        *grid.Handover
	at       time.Time
	names    func(grid.EventType) string
	sections map[string]*grid.HandoverSection
}

func (g *gathering) add(key string, l grid.HandoverLine) {
	s := g.sections[key]
	s.Count++
	if len(s.Lines) < maxLines {
		l.Mode = cmp.Or(l.Mode, grid.Live)
		s.Lines = append(s.Lines, l)
	}
}

// pages reads a list to its end.
func pages[T any](ctx context.Context, list func(context.Context, state.Query) (state.Page[T], error), q state.Query, f func(*T)) error {
	q.Limit = pageSize
	for n := 0; n < maxRead; n += pageSize {
		page, err := list(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			f(&page.Items[i])
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
	return nil
}

func (g *gathering) tickets(ctx context.Context, from Source) error {
	var all []grid.Ticket
	err := pages(ctx, from.ListTickets, state.Query{State: "open"}, func(t *grid.Ticket) {
		if t.Priority <= 2 || t.Overdue {
			all = append(all, *t)
		}
	})
	slices.SortFunc(all, func(a, b grid.Ticket) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID))
	})
	for i := range all {
		t := &all[i]
		l := grid.HandoverLine{Kind: "ticket", ID: t.ID, Priority: t.Priority, Type: string(t.Type), What: t.Case + " " + t.Title, Place: t.Place,
			State: string(t.State), Since: t.Opened, Until: t.Due, Mode: t.Mode}
		for _, a := range t.Assignments {
			if a.Lead {
				l.Who = a.Unit
			}
		}
		if t.Priority <= 2 {
			g.add("urgent", l)
		}
		if t.Overdue {
			g.add("overdue", l)
		}
	}
	return err
}

func (g *gathering) alarms(ctx context.Context, from Source) error {
	queue, err := from.AlarmQueue(ctx, state.Query{}, g.at)
	all := queue.Alarms
	slices.SortFunc(all, func(a, b grid.Alarm) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Raised.Compare(b.Raised), cmp.Compare(a.ID, b.ID))
	})
	sectionOf := map[grid.EventType]string{grid.EventGatewaySilent: "silent", grid.EventProtectionLost: "protection", grid.EventUnitUnreachable: "unreachable"}
	for i := range all {
		a := &all[i]
		l := grid.HandoverLine{Kind: "alarm", ID: a.ID, Priority: a.Priority, Type: string(a.Type), What: g.names(a.Type),
			Place: cmp.Or(strings.Trim(a.Building+" "+a.Point, " "), string(a.Device)), Since: a.Raised, Mode: a.Mode}
		if a.Taken != nil {
			l.Who = a.Taken.By
		}
		if a.Acked {
			l.State = "acknowledged"
		}
		if a.Untaken != nil {
			g.add("untaken", l)
		}
		if key := sectionOf[a.Type]; key != "" && a.Active {
			g.add(key, l)
		}
	}
	return err
}

func (g *gathering) windows(ctx context.Context, from Source) error {
	sectionOf := map[grid.WindowKind]string{
		grid.WindowShelved: "shelved", grid.WindowOutOfService: "shelved", grid.WindowPermit: "permits", grid.WindowExercise: "exercises",
		grid.WindowMaintenance: "works", grid.WindowCommissioning: "works",
	}
	return pages(ctx, from.ListWindows, state.Query{State: "open"}, func(w *grid.Window) {
		if key := sectionOf[w.Kind]; key != "" {
			g.add(key, grid.HandoverLine{Kind: "window", ID: w.ID, Type: string(w.Kind), What: w.Reason, Place: whereOf(w), Who: cmp.Or(w.Holder, w.By.Name),
				Since: w.From, Until: w.To, Mode: w.Mode})
		}
	})
}

func whereOf(w *grid.Window) string {
	const named = 5
	if !w.Area.IsZero() {
		return strings.Trim(strings.Join([]string{w.Area.Street, w.Area.Compound, w.Area.Building}, " "), " ")
	}
	if n := len(w.Points); n > named {
		return strings.Join(w.Points[:named], " ") + fmt.Sprintf(" +%d", n-named)
	}
	return strings.Join(w.Points, " ")
}

func (g *gathering) postures(ctx context.Context, from Source) error {
	page, err := from.ListPostures(ctx, state.Query{State: "open", Limit: 1})
	for _, p := range page.Items {
		g.h.Posture = p.Name
		g.add("posture", grid.HandoverLine{Kind: "posture", ID: p.ID, Type: string(p.Name), What: p.Reason, Who: p.By.Name, Since: p.From, Until: p.To, Mode: p.Mode})
	}
	return err
}

func (g *gathering) visits(ctx context.Context, from Source) error {
	return pages(ctx, from.ListVisits, state.Query{State: "unproven"}, func(v *grid.Visit) {
		what := string(v.Device)
		if len(v.Reasons) > 0 {
			what += ": " + v.Reasons[0].ZH + " / " + v.Reasons[0].EN
		}
		g.add("commissioning", grid.HandoverLine{Kind: "visit", ID: v.ID, Type: string(v.Kind), What: what, Place: strings.Trim(v.Building+" "+v.Point, " "),
			State: string(v.State), Who: v.By.Name, Since: v.Started, Until: v.Due, Mode: v.Mode})
	})
}

func (g *gathering) seats(ctx context.Context, from Source) error {
	all, err := from.Seats(ctx)
	for _, s := range all {
		if !s.Left.IsZero() {
			continue
		}
		l := grid.HandoverLine{Kind: "seat", ID: s.ID, What: s.ID, Who: s.Person, State: "watching", Since: s.On, Mode: s.Mode}
		if !s.Watching {
			l.State = s.Why
		}
		g.add("seats", l)
	}
	return err
}

// comments are what people said about alarms since the sheet before.
func (g *gathering) comments(ctx context.Context, from Source) error {
	return pages(ctx, from.ListAudit, state.Query{Type: "alarm.comment", Since: g.h.From}, func(a *state.Audit) {
		g.add("notes", grid.HandoverLine{Kind: "note", ID: a.Subject, What: a.Detail, Who: a.By.Name, Since: a.At, Mode: a.Mode})
	})
}
