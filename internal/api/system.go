package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridgate/internal/alarm"
	"gridgate/internal/grid"
)

// System is how the gateway itself is: what stands behind the page of that name.
type System struct {
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Now         time.Time `json:"now"`
	EngineTime  time.Time `json:"engine_time"` // received time of the newest frame handled, or the clock
	Devices     int       `json:"devices"`
	Points      int       `json:"points"`
	OpenTickets int       `json:"open_tickets"`

	Ready   bool              `json:"ready"`
	Parts   map[string]string `json:"parts"` // "ok", or what is wrong
	Lanes   []SystemLane      `json:"lanes"`
	Disk    SystemDisk        `json:"disk"`
	Engine  SystemEngine      `json:"engine"`
	Influx  *SystemInflux     `json:"influx,omitempty"` // absent: readings are not stored
	Process SystemProcess     `json:"process"`

	Simulation Simulation `json:"simulation"`

	LostUnackable int64 `json:"lost_unackable"` // frames of wires without an acknowledgement that were given up
	Unjournalled  int64 `json:"unjournalled"`   // smoke alarms told from memory
}

// SystemLane is one lane: its part of the journal, what waits for the engine, and its deliveries.
type SystemLane struct {
	Lane          string    `json:"lane"`
	Head          uint64    `json:"head"` // sequence of the newest durable frame
	First         uint64    `json:"first"`
	Since         time.Time `json:"since,omitzero"` // of the oldest segment kept
	Bytes         int64     `json:"bytes"`
	Segments      int       `json:"segments"`
	Waiting       uint64    `json:"waiting"` // durable and not handled yet
	Refusing      bool      `json:"refusing"`
	Failed        string    `json:"failed,omitempty"`
	LastCommitMS  float64   `json:"last_commit_ms"`
	WorstCommitMS float64   `json:"worst_commit_ms"`
	Deliveries    int64     `json:"deliveries"` // on their way or waiting
	Deaf          []string  `json:"deaf"`       // units that are not tried now, because they failed again and again
}

// SystemDisk is the disk of the data folder.
type SystemDisk struct {
	Free        int64 `json:"free_bytes"`
	Total       int64 `json:"total_bytes"`
	ReserveHeld bool  `json:"reserve_held"` // false: it was given up for smoke
}

// SystemEngine is the state goroutine.
type SystemEngine struct {
	Frames         int64   `json:"frames"`
	Batches        int64   `json:"batches"`
	Commands       int64   `json:"commands"`
	FailedCommits  int64   `json:"failed_commits"`
	LastBatchMS    float64 `json:"last_batch_ms"`
	LongestBatchMS float64 `json:"longest_batch_ms"`
}

// SystemInflux is the way to InfluxDB.
type SystemInflux struct {
	Up         bool      `json:"up"`
	Since      time.Time `json:"since"`
	LastError  string    `json:"last_error,omitempty"`
	Written    int64     `json:"written"`
	Rejected   int64     `json:"rejected"`
	QueueBytes int64     `json:"queue_bytes"`
	Oldest     time.Time `json:"oldest,omitzero"`
}

// SystemProcess is the process.
type SystemProcess struct {
	HeapBytes  uint64 `json:"heap_bytes"`
	Goroutines int    `json:"goroutines"`
}

// systemRoutes: how the gateway is, and its configuration in force.
func (s *Server) systemRoutes(api huma.API) {
	route(s, api, viewers|walls, answerWithin, get("/system", "get-system", "admin", "How the gateway itself is: journal, engine, InfluxDB, disk"), func(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[System], error) {
		if s.System == nil {
			return nil, grid.Errorf(grid.Unavailable, "system: %w", errors.ErrUnsupported)
		}
		out := s.System()
		out.Version, out.Now = s.Version, s.Now().UTC()
		ready := s.readiness(ctx)
		out.Ready, out.Parts, out.Simulation = ready.Ready, ready.Parts, ready.Simulation
		return &body[System]{out}, nil
	})
	route(s, api, admins, answerWithin, get("/system/config", "get-config", "admin", "The configuration in force, defaults included, without what is secret"), func(context.Context, grid.Actor, *struct{}) (*body[map[string]any], error) {
		if s.Effective == nil {
			return nil, grid.Errorf(grid.Unavailable, "configuration: %w", errors.ErrUnsupported)
		}
		c, err := s.Effective()
		return &body[map[string]any]{c}, err
	})
}

// Reload is what a reload of the configuration did.
type Reload struct {
	At      time.Time `json:"at"`
	Changed []string  `json:"changed"` // keys that are in force now
	Restart []string  `json:"restart"` // keys that changed and wait for a restart
}

// rulesNow are the rules in force.
func (s *Server) rulesNow() *alarm.Rules {
	if s.RulesNow != nil {
		return s.RulesNow()
	}
	return s.AlarmRules
}

func (s *Server) reloadRoute(api huma.API) {
	op := post("/system/reload", "reload", "admin", "Read the configuration again, without losing a frame: all of it, or nothing and the reason")
	op.Description = "Rules, tickets, calendars, profiles, connectors that are data, limits of devices, the guard of roll-outs and the level of the log are in force at once. What else has changed is named, and waits for a restart."
	route(s, api, admins, importWithin, op, func(ctx context.Context, _ grid.Actor, _ *struct{}) (*body[Reload], error) {
		if s.Reload == nil {
			return nil, grid.Errorf(grid.Unavailable, "reload: %w", errors.ErrUnsupported)
		}
		out, err := s.Reload(ctx)
		return &body[Reload]{out}, err
	})
}

// Reload has a gateway read its configuration again.
func (c *Client) Reload(ctx context.Context) (Reload, error) {
	return call[Reload](ctx, c, http.MethodPost, "/api/v1/system/reload", nil, nil)
}

// System asks how a gateway itself is.
func (c *Client) System(ctx context.Context) (System, error) {
	return call[System](ctx, c, http.MethodGet, "/api/v1/system", nil, nil)
}
