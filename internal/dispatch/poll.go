package dispatch

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"gridgate/internal/clock"
	"gridgate/internal/grid"
)

// Word is what a unit's system says of a delivery when it is asked.
type Word struct {
	Delivery grid.Delivery
	Verb     grid.Verb // accept, arrive, resolve, verify; "": it has the message and nobody has said anything
	Finding  grid.Verification
	Said     string // for the history
	SeenBy   string // the person who has the message, "" where that is not known
}

// Asker is a connector whose far side does not call back and must be asked.
type Asker interface {
	// Words asks once about deliveries that are open. It gives what it could read beside
	// its error.
	Words(ctx context.Context, u grid.Unit, open []grid.Delivery) ([]Word, error)
}

// Open is a ticket's last message to a unit that the unit's system gave a number, while
// the ticket is open.
type Open struct {
	Ticket   grid.Ticket
	Delivery grid.Delivery
}

// PollConfig of a Poller. The zero value of a duration or number is its default.
type PollConfig struct {
	Askers map[string]Asker // by the connector's name
	// Units lists the units that have a connector.
	Units func(ctx context.Context, connector string) ([]string, error)
	// Unit reads one, its secret included.
	Unit func(ctx context.Context, id string) (grid.Unit, error)
	// Open gives a page of a unit's open tickets from a cursor on, and the next cursor, ""
	// at the end.
	Open func(ctx context.Context, unit, cursor string) ([]Open, string, error)
	// Soon reports whether people wait for what a unit has to say: it is asked every 5 s. May
	// be nil.
	Soon func(unit string) bool
	// Move is the engine's: what a unit says changes tickets by it alone.
	Move func(context.Context, grid.Move) (grid.Ticket, error)
	// Seen is the engine's too: a person has the message.
	Seen func(ctx context.Context, delivery, by string) error

	Every    time.Duration // between two rounds of a unit; 1 min
	MaxPause time.Duration // between two rounds of a unit that does not answer; 30 min
	Deadline time.Duration // of one round of one unit; 30 s
	AtOnce   int           // units; 4
	Clock    *clock.Clock  // the city's; nil is the machine's
	Log      *slog.Logger
}

// Poller asks units' systems for their answers and brings them to the tickets.
type Poller struct {
	cfg  PollConfig
	mu   sync.Mutex
	seen map[string]*asked
}

// asked is where the poller is with one unit: its cursor.
type asked struct {
	cursor string
	next   time.Time
	pause  time.Duration
	said   map[string]string // delivery → the last word that was brought to its ticket
	err    string
}

// NewPoller makes a poller; it does no I/O.
func NewPoller(cfg PollConfig) *Poller {
	setDefault(&cfg.Every, time.Minute)
	setDefault(&cfg.MaxPause, 30*time.Minute)
	setDefault(&cfg.Deadline, 30*time.Second)
	setDefault(&cfg.AtOnce, 4)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Poller{cfg: cfg, seen: map[string]*asked{}}
}

// Run asks until ctx is done; it returns after the last question has ended.
func (p *Poller) Run(ctx context.Context) error {
	tick := p.cfg.Clock.Ticker(min(p.cfg.Every, soonest))
	defer tick.Stop()
	for {
		p.Round(ctx, p.cfg.Clock.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Round asks each unit whose time has come.
func (p *Poller) Round(ctx context.Context, now time.Time) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, p.cfg.AtOnce)
	present := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(p.cfg.Askers)) {
		units, err := p.cfg.Units(ctx, name)
		if err != nil {
			p.cfg.Log.Error("units cannot be read", "err", err)
			return
		}
		for _, id := range units {
			present[id] = true
			a := p.at(id)
			if a.next.After(now) || ctx.Err() != nil {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				ctx, cancel := context.WithTimeout(ctx, p.cfg.Deadline)
				defer cancel()
				p.settle(id, a, p.ask(ctx, name, id, a, now), now)
			})
		}
	}
	wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.seen, func(id string, _ *asked) bool { return !present[id] })
}

func (p *Poller) at(unit string) *asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen[unit] == nil {
		p.seen[unit] = &asked{said: map[string]string{}}
	}
	return p.seen[unit]
}

// settle sets when a unit is asked again; one that does not answer is asked less often.
func (p *Poller) settle(unit string, a *asked, err error, now time.Time) {
	if err == nil {
		if a.err != "" {
			p.cfg.Log.Info("unit can be asked again", "unit", unit)
		}
		a.err, a.pause = "", p.every(unit)
	} else {
		if a.err != err.Error() {
			p.cfg.Log.Warn("unit cannot be asked for its answers", "unit", unit, "err", err)
		}
		a.err, a.pause = err.Error(), min(max(2*a.pause, p.every(unit)), p.cfg.MaxPause)
	}
	a.next = now.Add(a.pause)
}

// soonest is how often a unit is asked whose words are waited for.
const soonest = 5 * time.Second

func (p *Poller) every(unit string) time.Duration {
	if p.cfg.Soon != nil && p.cfg.Soon(unit) {
		return min(soonest, p.cfg.Every)
	}
	return p.cfg.Every
}

// ask is one round of one unit: a page of its open tickets.
func (p *Poller) ask(ctx context.Context, connector, id string, a *asked, now time.Time) (err error) {
	open, next, err := p.cfg.Open(ctx, id, a.cursor)
	if err != nil {
		return err
	}
	if a.cursor = next; next == "" && len(a.said) > 10_000 {
		clear(a.said) // the engine knows a word that comes again by its key
	}
	if len(open) == 0 {
		return nil
	}
	u, err := p.cfg.Unit(ctx, id)
	if err != nil {
		return err
	}
	tickets := make(map[string]grid.Ticket, len(open))
	ds := make([]grid.Delivery, len(open))
	for i, o := range open {
		ds[i], tickets[o.Delivery.ID] = o.Delivery, o.Ticket
	}
	words, err := p.cfg.Askers[connector].Words(ctx, u, ds)
	for _, w := range words {
		if said := string(w.Verb) + " " + w.Said + " " + w.SeenBy; a.said[w.Delivery.ID] != said && p.bring(ctx, tickets[w.Delivery.ID], w, now) {
			a.said[w.Delivery.ID] = said
		}
	}
	return err
}

type step struct {
	verb grid.Verb
	from grid.TicketState
}

// steps are the moves on the way to a word, in order, with the state each starts from.
var steps = []step{{grid.VerbAccept, grid.TicketDispatched}, {grid.VerbArrive, grid.TicketAccepted}, {grid.VerbResolve, grid.TicketInProgress}}

// bring makes the moves that a word means, as the unit's, and reports whether the word
// needs no second look. Whatever the table of moves refuses stays refused: a word that is
// late, or on a part that is not the unit's any more.
func (p *Poller) bring(ctx context.Context, t grid.Ticket, w Word, now time.Time) bool {
	if w.SeenBy != "" && w.Delivery.State != grid.DeliverySeen {
		if err := p.cfg.Seen(ctx, w.Delivery.ID, w.SeenBy); err != nil {
			p.cfg.Log.Error("who has seen a message cannot be recorded", "unit", w.Delivery.Unit, "err", err)
			return false
		}
	}
	if w.Verb == "" {
		return true
	}
	b, err := read(w.Delivery)
	if err != nil {
		return true
	}
	move := grid.Move{Ticket: t.ID, Assignment: w.Delivery.Assignment, Attempt: b.Attempt, By: grid.Actor{Role: grid.RoleUnit, Name: w.Delivery.Unit, Unit: w.Delivery.Unit},
		At: now.UTC(), Reason: w.Said, Finding: w.Finding}
	verbs := way(t, w)
	for i, verb := range verbs {
		// The last step has the word's own key: after a restart, when the assignment is
		// already there and the way is a mere note, it is known all the same.
		move.Verb, move.Key = verb, grid.NewID(time.Time{}, w.Delivery.ID+"/"+string(w.Verb)+"/"+w.Said, len(verbs)-1-i)
		if _, err := p.cfg.Move(ctx, move); err != nil {
			refused := grid.CodeOf(err) != grid.Unavailable && grid.CodeOf(err) != grid.Internal
			p.cfg.Log.Info("answer of a unit was not taken", "unit", w.Delivery.Unit, "ticket", t.ID, "err", err)
			return refused
		}
	}
	return true
}

// way is what must be said for a word to hold, from where the assignment is. A word that
// moves nothing is noted.
func way(t grid.Ticket, w Word) (out []grid.Verb) {
	if w.Verb == grid.VerbVerify {
		return []grid.Verb{w.Verb}
	}
	i := slices.IndexFunc(t.Assignments, func(a grid.Assignment) bool { return a.ID == w.Delivery.Assignment })
	to := slices.IndexFunc(steps, func(s step) bool { return s.verb == w.Verb })
	if i >= 0 && to >= 0 {
		for _, s := range steps[:to+1] {
			if len(out) > 0 || t.Assignments[i].State == s.from {
				out = append(out, s.verb)
			}
		}
	}
	if len(out) == 0 {
		return []grid.Verb{grid.VerbNote}
	}
	return out
}
