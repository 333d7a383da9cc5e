package coap

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"gridgate/internal/grid"
)

// savedState is the state file: without it a device whose token nobody knows would be told
// to notify no more, and be silent until its next update.
type savedState struct {
	Version       int                 `json:"version"`
	Registrations []savedRegistration `json:"registrations"`
}

type savedRegistration struct {
	Endpoint string        `json:"ep"`
	Identity grid.Identity `json:"device"`
	Place    string        `json:"location"`
	Lifetime uint32        `json:"lt"`
	LwM2M    string        `json:"lwm2m"`
	Queue    bool          `json:"queue,omitempty"`
	Listener string        `json:"listener,omitempty"`
	Root     string        `json:"root,omitempty"`
	Objects  [][2]uint16   `json:"objects"`
	Since    time.Time     `json:"since"`
	Heard    time.Time     `json:"heard"`
	Read     time.Time     `json:"read"`
	Observed []savedToken  `json:"observed"`
}

type savedToken struct {
	Token []byte `json:"token"`
	Path  string `json:"path"`
}

// load reads the state file. A file that cannot be read is no reason not to start.
func (s *lwm2m) load() {
	file := s.t.cfg.LwM2M.StateFile
	if file == "" {
		return
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var state savedState
	if err == nil {
		err = json.Unmarshal(b, &state)
	}
	if err == nil && state.Version != 1 {
		err = fmt.Errorf("version is %d: want 1", state.Version)
	}
	if err != nil {
		s.t.tally.Fault("devices must register again", grid.Errorf(grid.Invalid, "coap %s: state %s: %w", s.t.cfg.Name, file, err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range state.Registrations {
		s.restore(&state.Registrations[i])
	}
}

// restore wants s.mu. While we were not there a device could not be heard: its lifetime
// begins anew.
func (s *lwm2m) restore(r *savedRegistration) {
	if len(s.byName) >= s.t.cfg.LwM2M.Registrations || r.Endpoint == "" || r.Place == "" || s.byName[r.Endpoint] != nil {
		return
	}
	reg := &registration{
		endpoint: r.Endpoint, identity: r.Identity, place: r.Place, lifetime: r.Lifetime, version: r.LwM2M, queue: r.Queue,
		since: r.Since, heard: s.t.cfg.City().UTC(), read: r.Read, listener: r.Listener,
		observed: make(map[string]*observation), refused: make(map[string]bool),
	}
	reg.objects.root = r.Root
	for _, o := range r.Objects {
		reg.objects.instances = append(reg.objects.instances, instance{o[0], o[1]})
	}
	for _, t := range r.Observed {
		o := &observation{reg: reg, token: string(t.Token), path: t.Path, lasts: true}
		reg.observed[o.token], s.byToken[o.token] = o, o
	}
	s.byName[reg.endpoint], s.byDevice[reg.identity], s.byPlace[reg.place] = reg, reg, reg
	s.restored.Add(1)
}

// save writes the state file, if there is news.
func (s *lwm2m) save() {
	file := s.t.cfg.LwM2M.StateFile
	s.mu.Lock()
	if !s.changed || file == "" {
		s.mu.Unlock()
		return
	}
	s.changed = false
	state := savedState{Version: 1, Registrations: make([]savedRegistration, 0, len(s.byName))}
	for _, reg := range s.byName {
		state.Registrations = append(state.Registrations, reg.saved())
	}
	s.mu.Unlock()
	if err := replaceFile(file, state); err != nil {
		s.t.tally.Fault("registrations are not saved", grid.Errorf(grid.Unavailable, "coap %s: state: %w", s.t.cfg.Name, err))
		s.mu.Lock()
		s.changed = true
		s.mu.Unlock()
	}
}

// saved wants s.mu.
func (r *registration) saved() savedRegistration {
	out := savedRegistration{
		Endpoint: r.endpoint, Identity: r.identity, Place: r.place, Lifetime: r.lifetime, LwM2M: r.version, Queue: r.queue, Listener: r.listener,
		Root: r.objects.root, Objects: [][2]uint16{}, Since: r.since, Heard: r.heard, Read: r.read, Observed: []savedToken{},
	}
	for _, i := range r.objects.instances {
		out.Objects = append(out.Objects, [2]uint16{i.object, i.id})
	}
	for _, o := range r.observed {
		if o.lasts {
			out.Observed = append(out.Observed, savedToken{[]byte(o.token), o.path})
		}
	}
	return out
}

// replaceFile writes a new file and puts it in the place of the old one.
func replaceFile(file string, content any) error {
	b, err := json.Marshal(content)
	if err != nil {
		return err
	}
	tmp := file + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, file)
	}
	return err
}
