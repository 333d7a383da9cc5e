package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/contractor"
	"gridgate/internal/grid"
)

// WorkTask is a ticket on which somebody must act: at the desk, where it names its tasks, or on
// site, where it says what to do and what to bring.
type WorkTask struct {
	grid.Ticket
	Name      string             `json:"name,omitempty" doc:"Of the point."`
	Kind      grid.Kind          `json:"kind,omitempty"`
	Building  string             `json:"building,omitempty"`
	Floor     string             `json:"floor,omitempty"`
	Room      string             `json:"room,omitempty"`
	Lon       float64            `json:"lon,omitempty"`
	Lat       float64            `json:"lat,omitempty"`
	Profile   string             `json:"profile,omitempty"`
	Battery   string             `json:"battery,omitempty" doc:"How many of which type, if it is known."`
	Do        *contractor.Words  `json:"do,omitempty"`
	Bring     []contractor.Words `json:"bring,omitempty"`
	WorkDue   time.Time          `json:"work_due,omitzero" doc:"When the work is to be done."`
	Round     string             `json:"round,omitempty" doc:"The round that it is planned in, and its day."`
	Day       string             `json:"day,omitempty"`
	NoEntries int                `json:"no_entries,omitempty" doc:"How often nobody opened."`
	Next      string             `json:"next,omitempty" doc:"When it is tried again after that."`
}

// maxTasks is how many a unit's list looks at: a crew has dozens.
const maxTasks = 5000

// taskRoutes: what people at the desk must do, and technicians.
func (s *Server) taskRoutes(api huma.API) {
	op := get("/tasks", "list-tasks", "tickets", "Open tickets on which somebody must act: a contractor's own, sorted by due day and then by route; for the desk those that name its tasks")
	op.Description = "With a contractor's token, or unit, the open tickets that it leads, each with place, what to do and what to bring. Else those on which a person at the desk must act; each names its tasks."
	route(s, api, operators|technicians, answerWithin, op, s.tasks)
}

func (s *Server) tasks(ctx context.Context, by grid.Actor, in *listInput) (*body[Page[WorkTask]], error) {
	q := in.query(by)
	if q.Unit != "" {
		all, err := s.technicianTasks(ctx, q)
		return &body[Page[WorkTask]]{Page[WorkTask]{Items: all}}, err
	}
	q.State = "tasks"
	page, err := s.Store.ListTickets(ctx, q)
	out := Page[WorkTask]{Items: []WorkTask{}, Next: page.Next}
	for _, t := range page.Items {
		out.Items = append(out.Items, WorkTask{Ticket: t})
	}
	return &body[Page[WorkTask]]{out}, err
}

// technicianTasks are the open tickets that a unit leads, the first to be done first.
func (s *Server) technicianTasks(ctx context.Context, q Query) ([]WorkTask, error) {
	limit := cmp.Or(q.Limit, 1000)
	q.State, q.Cursor, q.Limit = "open", "", 1000
	unit := q.Unit
	at := &taskPlaces{zone: s.work().Zone(), planned: map[string]*grid.Round{}, missed: map[string]*grid.NoEntry{}, keys: map[string]string{}}
	if err := s.plannedWork(ctx, unit, at); err != nil {
		return nil, err
	}
	out := []WorkTask{}
	for {
		page, err := s.Store.ListTickets(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			if t := &page.Items[i]; leads(t, unit) {
				task, err := s.task(ctx, t, at)
				if err != nil {
					return nil, err
				}
				out = append(out, task)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" || len(out) >= maxTasks {
			break
		}
	}
	at.sort(out)
	return out[:min(len(out), limit)], nil
}

func leads(t *grid.Ticket, unit string) bool {
	return slices.ContainsFunc(t.Assignments, func(a grid.Assignment) bool { return a.Lead && a.Unit == unit })
}

// taskPlaces is where tasks are, and what is planned for them.
type taskPlaces struct {
	zone    *time.Location
	planned map[string]*grid.Round   // by ticket
	missed  map[string]*grid.NoEntry // the newest, by ticket
	keys    map[string]string        // of buildings, by ticket
	stops   []grid.Stop
}

func (s *Server) plannedWork(ctx context.Context, unit string, at *taskPlaces) error {
	rounds, err := s.Store.ListRounds(ctx, Query{Unit: unit, State: "open", Limit: 1000})
	if err != nil {
		return err
	}
	for i := range rounds.Items {
		r := &rounds.Items[i]
		for _, st := range r.Stops {
			for _, j := range st.Jobs {
				if j.State == grid.JobOpen {
					at.planned[j.Ticket] = r
				}
			}
		}
	}
	missed, err := s.Store.ListNoEntries(ctx, Query{Unit: unit, Limit: 1000})
	for i := range missed.Items {
		n := &missed.Items[i]
		for _, t := range n.Tickets {
			if at.missed[t] == nil { // the newest comes first
				at.missed[t] = n
			}
		}
	}
	return err
}

func (s *Server) task(ctx context.Context, t *grid.Ticket, at *taskPlaces) (WorkTask, error) {
	out := WorkTask{Ticket: *t, WorkDue: workDue(t)}
	p := grid.Point{ID: "ticket/" + t.ID, Address: t.Place}
	if t.Point != "" {
		stored, err := s.Store.Point(ctx, t.Point)
		if err != nil && grid.CodeOf(err) != grid.NotFound {
			return out, err
		}
		if err == nil {
			p = stored
		}
	}
	out.Name, out.Kind, out.Building, out.Floor, out.Room, out.Lon, out.Lat = p.Name, p.Kind, p.Building, p.Floor, p.Room, p.Lon, p.Lat
	do, bring, withBattery := s.work().ToDo(t.Type)
	out.Do, out.Bring = &do, slices.Clone(bring)
	if t.Device != "" {
		if d, err := s.Store.Device(ctx, t.Device); err == nil {
			out.Profile = d.Profile
			if withBattery {
				out.Battery = s.work().BatteryWords(d.Battery, d.Profile)
			}
		}
	}
	if out.Battery != "" {
		out.Bring = append(out.Bring, contractor.Words{ZH: "电池 " + out.Battery, EN: "battery " + out.Battery})
	}
	if r := at.planned[t.ID]; r != nil {
		out.Round, out.Day = r.ID, r.Day
	}
	if n := at.missed[t.ID]; n != nil {
		out.NoEntries, out.Next = n.Times, n.Next
	}
	at.keys[t.ID] = contractor.KeyOf(&p)
	at.stops = append(at.stops, grid.Stop{Key: at.keys[t.ID], Lon: p.Lon, Lat: p.Lat})
	return out, nil
}

func (s *Server) work() *contractor.Rules {
	if s.Work != nil {
		return s.Work
	}
	return &contractor.Rules{}
}

// workDue is the end of the handle clock while it runs, else of the whole.
func workDue(t *grid.Ticket) time.Time {
	for _, c := range t.Clocks {
		if c.Name == "handle" && c.Stopped.IsZero() {
			return c.Due
		}
	}
	return t.Due
}

// sort puts those that are due first first; of a day, the way decides.
func (at *taskPlaces) sort(tasks []WorkTask) {
	var stops []grid.Stop
	for _, st := range at.stops {
		if !slices.ContainsFunc(stops, func(o grid.Stop) bool { return o.Key == st.Key }) {
			stops = append(stops, st)
		}
	}
	place := map[string]int{}
	for i, st := range contractor.Order(stops, nil) {
		place[st.Key] = i
	}
	day := func(t *WorkTask) time.Time {
		if t.Priority < 4 || t.WorkDue.IsZero() { // urgent ones by the minute
			return t.WorkDue
		}
		y, m, d := t.WorkDue.In(at.zone).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, at.zone)
	}
	slices.SortFunc(tasks, func(a, b WorkTask) int {
		if a.WorkDue.IsZero() != b.WorkDue.IsZero() {
			if a.WorkDue.IsZero() {
				return 1
			}
			return -1
		}
		return cmp.Or(day(&a).Compare(day(&b)), cmp.Compare(a.Priority, b.Priority), cmp.Compare(place[at.keys[a.ID]], place[at.keys[b.ID]]), cmp.Compare(a.ID, b.ID))
	})
}
