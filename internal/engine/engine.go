// Package engine turns the journal's frames into readings, detections and effects,
// exactly once.
//
//	journal ─▶ lanePipe (decode in parallel, order kept) ─▶ state goroutine ─▶ one transaction
//	commands (moves, delivery results, registry) ──────────────▲                  │
//	timers (one wheel) ────────────────────────────────────────┘                  ▼
//	                                                         deliveries, events, InfluxDB queue
//
// Everything that has state runs in one goroutine (loop.go), as a plain function of
// state, input and time. A turn of it collects its effects in a batch; the batch and the
// journal cursor are committed in one transaction, so a crash repeats nothing and skips
// nothing. Soft state (soft.go) is checkpointed and rebuilt from the journal.
package engine

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"gridgate/internal/alarm"
	"gridgate/internal/calendar"
	"gridgate/internal/clock"
	"gridgate/internal/commission"
	"gridgate/internal/contractor"
	"gridgate/internal/disk"
	"gridgate/internal/duty"
	"gridgate/internal/grid"
	"gridgate/internal/hazard"
	"gridgate/internal/influx"
	"gridgate/internal/people"
	"gridgate/internal/privacy"
	"gridgate/internal/profile"
	"gridgate/internal/registry"
	"gridgate/internal/state"
	"gridgate/internal/ticket"
)

// Journal is what the engine needs of the frame log.
type Journal interface {
	Next(ctx context.Context, lane grid.Lane, after uint64, max int) ([]grid.Frame, error)
	Head(lane grid.Lane) grid.Pos
	First(lane grid.Lane) uint64
	Release(lane grid.Lane, upTo uint64)
	ByDevice(ctx context.Context, id grid.Identity, since, until time.Time, limit int) ([]grid.Frame, error)
}

// Store is what the engine needs of the state store. Only the engine commits.
type Store interface {
	Commit(ctx context.Context, b *state.Batch) error
	Load(ctx context.Context) (*state.Loaded, error)
	LoadRegistry(ctx context.Context, to state.Registry) error
	Applied(ctx context.Context, key string) (state.Applied, bool, error)
	Point(ctx context.Context, id string) (grid.Point, error)
	Device(ctx context.Context, id grid.Identity) (grid.Device, error)
	Site(ctx context.Context, id string) (grid.Site, error)
	Building(ctx context.Context, id string) (grid.Building, error)
	PointsAmong(ctx context.Context, ids []string) ([]grid.Point, error)
	DevicesAmong(ctx context.Context, ids []string) ([]grid.Device, error)
	UnitsAmong(ctx context.Context, ids []string) ([]grid.Unit, error)
	Unit(ctx context.Context, id string) (grid.Unit, error)
	SitesAmong(ctx context.Context, ids []string) ([]grid.Site, error)
	BuildingsAmong(ctx context.Context, ids []string) ([]grid.Building, error)
	InstallationsOf(ctx context.Context, devices []grid.Identity) ([]grid.Installation, error)
	CurrentAt(ctx context.Context, point string) ([]grid.Installation, error)
	Ticket(ctx context.Context, id string) (grid.Ticket, error)
	Alarm(ctx context.Context, id string) (grid.Alarm, error)
	FiledAs(ctx context.Context, id grid.Identity) ([]grid.Alarm, error)
	RaisedAt(ctx context.Context, point string, typ grid.EventType, since time.Time, most int) ([]grid.Alarm, error)
	Hazard(ctx context.Context, id string) (grid.Hazard, error)
	HazardOf(ctx context.Context, ticket string) (grid.Hazard, error)
	HazardsAt(ctx context.Context, point, kind string, since time.Time) ([]grid.Hazard, error)
	OpenHazards(ctx context.Context) ([]grid.Hazard, error)
	CasesNear(ctx context.Context, ticket string, within time.Duration) (own state.Case, near []state.Case, err error)
	CasesLike(ctx context.Context, own state.Case, district string, within time.Duration) ([]state.Case, error)
	Incident(ctx context.Context, id string) (grid.Incident, error)
	File(ctx context.Context, id string) (grid.EvidenceFile, error)
	FalseAlarms(ctx context.Context, point string, typ grid.EventType, since time.Time, but string) (int, error)
	Delivery(ctx context.Context, id string) (grid.Delivery, error)
	ClaimedWaiting(ctx context.Context, after grid.Identity, limit int) ([]grid.Identity, error)
	ClaimLabels(ctx context.Context, device grid.Identity) ([]grid.ClaimLabel, error)
	Ignored(ctx context.Context) ([]grid.Ignored, error)
	Quarantined(ctx context.Context, id string) (grid.QuarantinedFrame, error)
	ListQuarantine(ctx context.Context, q state.Query) (state.Page[grid.QuarantinedFrame], error)
	ListInstallations(ctx context.Context, q state.Query) (state.Page[grid.Installation], error)
	HeldAfter(ctx context.Context, lane grid.Lane, seq uint64) ([]grid.Pos, error)
	HeldDeliveries(ctx context.Context) ([]grid.Delivery, error)
	DigestedIn(ctx context.Context, unit, digest string) ([]grid.Delivery, error)
	QuarantineOverflow(ctx context.Context, maxRows, maxBytes int64) ([]string, error)
	PendingDeliveries(ctx context.Context) ([]grid.Delivery, error)
	Downlink(ctx context.Context, id string) (grid.Downlink, error)
	OpenDownlinks(ctx context.Context) ([]grid.Downlink, error)
	ListDevices(ctx context.Context, q state.Query) (state.Page[grid.Device], error)
	Versions(ctx context.Context) ([]grid.ProfileVersion, []grid.RolloutStep, error)
	WaitingOf(ctx context.Context, profile string) ([]state.Waiting, error)
	Window(ctx context.Context, id string) (grid.Window, error)
	OpenWindows(ctx context.Context) ([]grid.Window, error)
	OpenContracts(ctx context.Context) ([]grid.Contract, error)
	Round(ctx context.Context, id string) (grid.Round, error)
	OpenRounds(ctx context.Context) ([]grid.Round, error)
	Seats(ctx context.Context) ([]grid.Seat, error)
	Handover(ctx context.Context, id string) (grid.Handover, error)
	NoEntry(ctx context.Context, id string) (grid.NoEntry, error)
	NoEntriesAt(ctx context.Context, unit, place string, since time.Time) ([]grid.NoEntry, error)
	ListTickets(ctx context.Context, q state.Query) (state.Page[grid.Ticket], error)
	ListNoEntries(ctx context.Context, q state.Query) (state.Page[grid.NoEntry], error)
	OpenPosture(ctx context.Context) ([]grid.Posture, error)
	Visit(ctx context.Context, id string) (grid.Visit, error)
	Photo(ctx context.Context, id string) (grid.PointPhoto, error)
	LiveVisits(ctx context.Context) ([]grid.Visit, error)
	NewestVisit(ctx context.Context, point string) ([]grid.Visit, error)
	EvidenceOf(ctx context.Context, ticket string) ([]state.Evidence, error)
	Credential(ctx context.Context, id string) (grid.Credential, error)
	Hotspots(ctx context.Context) ([]grid.Hotspot, error)
	Import(ctx context.Context, id string) (grid.Import, error)
	Credentials(ctx context.Context, device grid.Identity) ([]grid.Credential, error)
	CredentialsOf(ctx context.Context, fingerprint string) ([]grid.Credential, error)
	Contact(ctx context.Context, id string) (grid.Contact, error)
	ListContacts(ctx context.Context, q state.Query) (state.Page[grid.Contact], error)
	ContactsOf(ctx context.Context, of string) ([]grid.Contact, error)
	Duty(ctx context.Context) ([]grid.Roster, []grid.Shift, error)
	Roster(ctx context.Context, id string) (grid.Roster, error)
	Shift(ctx context.Context, id string) (grid.Shift, error)
	Regions(ctx context.Context) ([]grid.Region, error)
	PointsAfter(ctx context.Context, id string, most int) ([]grid.Point, error)
}

// Series is the queue of points for InfluxDB. The order of calls is Append, the
// transaction with the mark, Publish; after a transaction that failed, Cut.
type Series interface {
	Append(lines []byte) (influx.Mark, error) // durable; influx.ErrQueueFull: no room, nothing was written
	Publish(m influx.Mark)                    // may be sent now
	Cut(m influx.Mark) error                  // takes back what was appended after m
	Depth() influx.Depth
}

// Profiles is the set of firmware profiles of the gateway's files.
type Profiles interface {
	Get(id string) (*profile.Profile, error)
	List() []*profile.Profile
	Guess(f grid.Frame) []profile.Guess
	GuessIdentity(id grid.Identity) (profile string, smoke bool)
	Files(id string) (map[string]string, error)

	// A version that is uploaded: compiled and checked as a file would be, and put in the
	// place of one.
	Candidate(files map[string]string) (*profile.Profile, error)
	Compile(files map[string]string) (*profile.Profile, error)
	LintFiles(files map[string]string) (id string, wrong []error)
	With(profiles ...*profile.Profile) *profile.Set
}

// Config is what an engine is made of.
type Config struct {
	Dir         string  // for the checkpoint
	Disk        disk.FS // which Dir is on; nil: the machine's
	Journal     Journal
	Store       Store
	Series      Series // nil: readings are not stored in InfluxDB
	Profiles    Profiles
	Rules       *alarm.Rules
	Plans       *ticket.Plans
	Hazards     *hazard.Kinds     // nil: none are filed
	Commission  *commission.Plans // nil: there are no visits
	Routes      *ticket.Routes    // nil: units are found by their place alone, and nobody is called
	Contractors *contractor.Rules // of rounds and batteries; nil: every day is a work day
	People      *people.Book      // the calendars of contacts and rosters; nil: none
	Privacy     *privacy.Classes  // what is kept of a place; nil: everything
	Duty        *duty.Rules       // of seats and untaken alarms; nil: there are no seats
	// Body makes the message that a unit gets; frozen when the delivery is made.
	Body func(t *grid.Ticket, d *grid.Delivery, p *grid.Point, u *grid.Unit) (json.RawMessage, error)
	// Unwritten is told of smoke whose frame the disk did not take. It must not block. Optional.
	Unwritten func(*Unjournalled)
	// Digest makes the message that stands for others that a unit was not told at once; nil:
	// there are no digests. Calendars are those of quiet hours and shifts; nil: there are none.
	Digest    func(d *grid.Delivery, items []grid.Delivery, u *grid.Unit) (json.RawMessage, error)
	Calendars *calendar.Calendars
	// Discover is told of each stranger that is heard for the first time; it must not block.
	Discover func(grid.Discovered)
	// Committed is told what a commit made, after it; it must not block.
	Committed func(rows *state.Batch)
	// CredentialsChanged is told of them after the commit and before the command is
	// answered; without any: a device was taken out. It must not block.
	CredentialsChanged func(changed []grid.Credential)

	Decoders        int                    // per lane; 0: the number of processors
	CheckpointEvery time.Duration          // 0: 5 s
	QuarantineRows  int64                  // 0: 100,000
	QuarantineBytes int64                  // 0: 1 GiB
	ConfigVersion   string                 // of rules, tickets and profiles: kept with the evidence
	GapRoom         int64                  // a gap is filled while the InfluxDB queue is shorter than this; 0: 64 MiB
	SeriesLost      bool                   // part of the InfluxDB queue is gone: the points of all that the journal keeps are made anew
	Home            grid.Scope             // of what has no place: the district
	Guard           Guard                  // ends a roll-out that reads worse
	Limit           Limit                  // of what one device sends; zero: none
	Admit           func(*grid.Unit) error // what else a unit must be to be registered; nil: nothing
	SessionSilent   time.Duration          // a technician's session that is silent for so long is gone; 0: 2 min
	Traces          Traces                 // nil: nobody is told
	Clock           *clock.Clock           // the city's; nil is the machine's
	// Watch tells Now, and what has passed by a clock that nobody sets; nil: Clock's, or none where Now is given.
	Watch func() (now time.Time, passed time.Duration)
	Now   func() time.Time // nil: Clock's
	Log   *slog.Logger
}

// Engine is the state goroutine and what feeds it.
type Engine struct {
	Config
	journal  Journal
	store    Store
	series   Series
	profiles *versions
	home     grid.Scope
	log      *slog.Logger

	rates   rates        // of devices that speak; the state goroutine's alone
	limited atomic.Int64 // rates.over, for others

	memory    *registry.Memory // Lane and ProfileOf may be asked by anyone
	dec       *decoder
	pipes     [grid.Lanes]*lanePipe
	cmds      chan *command
	unwritten chan grid.Frame // refused by the journal: told from memory
	ready     chan struct{}   // closed when the state is loaded and the pipes run

	registryNo atomic.Uint64 // how often the registry has changed since the start

	// Below: of the state goroutine alone.
	foretold    map[episodeKey]foretold // smoke that was told and is not on disk
	promised    map[string]string       // ticket by episode, while a batch makes good what was told
	soft        soft
	timers      timers
	paths       paths
	expected    expected
	ckpt        *checkpointer
	cursors     cursors
	ckptCursors cursors // of the newest checkpoint
	saving      *saving // the checkpoint that is being written; nil: none
	unsaved     bool    // the last one could not be written
	engineTime  time.Time
	received    [grid.Lanes]time.Time // of the newest frame handled
	lastOf      [grid.Lanes]time.Time // of the last frame of this run, by the order of the journal
	influxMark  influx.Mark
	gap         gaps
	gapPause    time.Time                     // not filled before then
	gapSeen     map[grid.Identity]*deviceSoft // for telling repeats within a gap

	alarms      map[string]*grid.Alarm
	episodes    map[episodeKey]string
	earlier     map[episodeKey][]string   // episodes that are not the newest, of open tickets
	tickets     map[string]*grid.Ticket   // open ones
	members     map[string][]string       // episodes that joined a ticket
	incidents   map[string]*grid.Incident // open ones
	incidentAt  map[incidentKey]string
	while       map[whileKey][]string // active episodes that lift others
	hindering   map[whileKey][]string // active episodes that are lifted
	deliveries  map[string]*grid.Delivery
	units       map[string]*grid.Unit
	downlinks   map[string]*grid.Downlink  // open ones
	downlinksOf map[grid.Identity][]string // their ids by device, in order of creation
	expiries    deadlines                  // of downlinks
	failovers   deadlines                  // of deliveries that go by another channel when they are not received
	early       map[grid.Identity][]earlyAnswer
	filedAt     map[string][]string     // active episodes that people filed, by point
	hazards     map[string]*grid.Hazard // open ones
	hazardOf    map[string]string       // their ids by ticket
	due         deadlines               // next clock of each ticket, real time
	acks        deadlines               // ends of acknowledgements, real time
	digests     deadlines               // of units, real time
	digesting   map[string][]string     // messages held for the digest of a unit
	onHold      map[string][]string     // messages of a ticket that wait because of the hour
	inDigest    map[string][]string     // what stands in a digest that is still on its way
	burning     map[string]int          // active smoke alarms by building
	unitCache   []grid.Unit
	duty        *people.Duty // nil: to be read
	contacts    contacts
	awaited     map[registry.DeviceNo]string // tickets closed by the next word of a device
	recalled    []string                     // ended tickets that were looked up in this turn
	down        []state.DownSpan
	suspects    map[grid.Pos]int
	discovered  *lru.TwoQueueCache[grid.Identity, *grid.Discovered]
	ignored     map[grid.Identity]grid.Ignored
	unfinished  chan struct{} // claims whose frames wait
	silentPaths int           // how many ways in are silent now
	replays     replays
	trials      map[string]*trialCount // of the newest roll-out of each profile
	commandNo   uint64                 // of commands without a key, since the start

	windows windows
	visits  visits
	rounds  rounds
	seats   seats
	regions regions
	posture *grid.Posture // nil: the normal one
	Rules   *alarm.Rules  // those in force, by the posture

	normal atomic.Pointer[alarm.Rules] // those without a posture; changed by the state goroutine alone
	cal    *calendar.Calendars         // of quiet hours and shifts; their zone is that of Config.Calendars

	ruleCache map[ruleKey]*ruleSet
	smokeOf   map[string][]registry.PointNo // smoke points by building; nil: to be worked out

	lastPoints map[grid.Identity]string // where a device was that was taken out
	barredRule *alarm.Rule

	unreadableRule, silentRule, lostRule, deafRule, gapRule *alarm.Rule

	// memory used again from turn to turn
	touched     []touchedPoint
	lines       []seriesLine
	eventLine   influx.Line
	spare       []byte
	spareSeries []byte
	spareLedger []grid.LedgerRow
	replayed    map[registry.PointNo]*decoded
	lastSaved   time.Time
	lastAlive   time.Time
	committing  time.Duration // that the last commit took, really
	lastForgot  time.Time
	lastLook    glance

	stats Stats
	mu    sync.Mutex // guards stats

	comparing comparing // with past frames; used by those who ask
}

// Stats are the engine's figures for metrics.
type Stats struct {
	Frames, Batches, Commands, FailedCommits int64
	FailedAt                                 time.Time // of the last commit that failed
	LastBatch, LongestBatch                  time.Duration
	Cursors                                  [grid.Lanes]uint64
	EngineTime                               time.Time
	Devices, Points, OpenTickets             int
}

// New makes an engine. It does no I/O: Run does.
func New(c Config) (*Engine, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = c.Clock.Now
		if c.Watch == nil {
			c.Watch = c.Clock.Watch()
		}
	}
	c.Disk = disk.Or(c.Disk)
	if c.Decoders <= 0 {
		c.Decoders = runtime.GOMAXPROCS(0)
	}
	if c.CheckpointEvery <= 0 {
		c.CheckpointEvery = 5 * time.Second
	}
	if c.QuarantineRows <= 0 {
		c.QuarantineRows = 100_000
	}
	if c.QuarantineBytes <= 0 {
		c.QuarantineBytes = 1 << 30
	}
	c.Guard = c.Guard.complete()
	if c.SessionSilent <= 0 {
		c.SessionSilent = alarm.SessionGone
	}
	if c.GapRoom <= 0 {
		c.GapRoom = 64 << 20
	}
	if c.Hazards != nil {
		c.Plans = c.Plans.With(hazardPlans(c.Hazards)...)
	}
	discovered, err := lru.New2Q[grid.Identity, *grid.Discovered](10_000)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		Config: c, journal: c.Journal, store: c.Store, series: c.Series, profiles: newVersions(c.Profiles), home: c.Home, log: c.Log,
		memory: registry.NewMemory(), cmds: make(chan *command, 1024), unwritten: make(chan grid.Frame, unwrittenQueue), foretold: map[episodeKey]foretold{}, promised: map[string]string{}, ready: make(chan struct{}),
		timers: newTimers(), paths: newPaths(),
		alarms: map[string]*grid.Alarm{}, episodes: map[episodeKey]string{}, earlier: map[episodeKey][]string{}, tickets: map[string]*grid.Ticket{},
		members: map[string][]string{}, incidents: map[string]*grid.Incident{}, incidentAt: map[incidentKey]string{}, while: map[whileKey][]string{}, hindering: map[whileKey][]string{},
		deliveries: map[string]*grid.Delivery{}, units: map[string]*grid.Unit{}, filedAt: map[string][]string{}, hazards: map[string]*grid.Hazard{}, hazardOf: map[string]string{},
		due: newDeadlines(), acks: newDeadlines(), digests: newDeadlines(), digesting: map[string][]string{}, onHold: map[string][]string{}, inDigest: map[string][]string{}, burning: map[string]int{}, awaited: map[registry.DeviceNo]string{}, suspects: map[grid.Pos]int{}, discovered: discovered, ignored: map[grid.Identity]grid.Ignored{}, unfinished: make(chan struct{}, 1),
		ruleCache: map[ruleKey]*ruleSet{}, gapSeen: map[grid.Identity]*deviceSoft{}, replayed: map[registry.PointNo]*decoded{},
		trials:    map[string]*trialCount{},
		downlinks: map[string]*grid.Downlink{}, downlinksOf: map[grid.Identity][]string{}, expiries: newDeadlines(), failovers: newDeadlines(),
		early: map[grid.Identity][]earlyAnswer{}, windows: newWindows(), visits: newVisits(), rounds: newRounds(), seats: newSeats(), Rules: c.Rules,
	}
	e.dec = &decoder{profiles: e.profiles, profileOf: e.memory.ProfileOf, traces: c.Traces}
	e.lastPoints, e.cal = map[grid.Identity]string{}, c.Calendars
	e.normal.Store(c.Rules)
	e.fixRules()
	return e, nil
}

// Ready is closed when the engine has loaded its state and handles frames.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// LaneOf says by which lane a frame of that device goes: the registration decides; a
// stranger who may be a smoke detector rides the safety lane. Safe for concurrent use.
func (e *Engine) LaneOf(id grid.Identity, guess func(grid.Identity) (smoke bool)) grid.Lane {
	if lane, known := e.memory.Lane(id); known {
		return lane
	}
	if guess != nil && guess(id) {
		return grid.Safety
	}
	return grid.Bulk
}

// Run loads the state, brings the soft state up to the journal, and works until ctx is
// done. It returns after each of its goroutines has ended. A failure of the checkpoint
// or the journal ends it with an error; the process is to exit and recover.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.start(ctx); err != nil {
		return err
	}
	defer e.ckpt.close()
	stopped := ctx.Err
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	failed := make(chan error, 2*grid.Lanes)
	for lane := range e.pipes {
		p := newLanePipe(grid.Lane(lane), e.cursors[lane].Seq)
		e.pipes[lane] = p
		wg.Go(func() {
			// A journal that is stopped with us may end before our own context does.
			if err := p.read(ctx, e.journal); err != nil && stopped() == nil {
				failed <- err
				cancel()
			}
		})
		wg.Go(func() { p.forward(ctx) })
		for range e.Decoders {
			wg.Go(func() { p.decode(ctx, e.dec) })
		}
	}
	wg.Go(func() { e.finishClaims(ctx) })
	close(e.ready)
	err := e.loop(ctx)
	cancel()
	wg.Wait()
	select {
	case readErr := <-failed:
		err = readErr
	default:
	}
	e.refuseCommands()
	if stopErr := e.stop(); err == nil {
		err = stopErr
	}
	return err
}

// ruleSet is the rules of a kind of point, with the signals that each looks at.
type ruleSet struct {
	rules   []*alarm.Rule
	watched []uint64
}

type ruleKey struct {
	set  string
	kind grid.Kind
}

func (e *Engine) rulesFor(pt registry.PointNo) *ruleSet {
	row := e.memory.PointAt(pt)
	key := ruleKey{e.memory.RuleSet(row), row.Kind()}
	rs, ok := e.ruleCache[key]
	if ok {
		return rs
	}
	rules, err := e.Rules.For(key.set, key.kind)
	if err != nil {
		// The rule set was taken out of the configuration: the kind's default watches on.
		e.log.Error("rule set is not configured, the default is used", "point", row.ID, "err", err)
		rules, _ = e.Rules.For("", key.kind)
	}
	rs = &ruleSet{rules: rules, watched: make([]uint64, len(rules))}
	for i, r := range rules {
		for s := grid.NoSignal + 1; s < grid.SignalCount; s++ {
			if r.Watches(s) {
				rs.watched[i] |= 1 << s
			}
		}
	}
	e.ruleCache[key] = rs
	return rs
}

func (e *Engine) rulesOf(pt registry.PointNo) []*alarm.Rule { return e.rulesFor(pt).rules }
func (e *Engine) watched(pt registry.PointNo) []uint64      { return e.rulesFor(pt).watched }

// bare is the rule of an event that no point's rules raise; with a plan it opens a ticket.
func (e *Engine) bare(t grid.EventType) *alarm.Rule {
	r := e.Rules.Bare(t)
	if r == nil {
		return nil
	}
	own := *r
	_, err := e.Plans.For(t)
	own.Ticket = err == nil
	return &own
}

func firstFrom(rules *alarm.Rules, kind grid.Kind, typ grid.EventType) *alarm.Rule {
	all, err := rules.For("", kind)
	if err != nil {
		return nil
	}
	for _, r := range all {
		if r.Type == typ {
			return r
		}
	}
	return nil
}
