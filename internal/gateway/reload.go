package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/alarm"
	"gridgate/internal/api"
	"gridgate/internal/calendar"
	"gridgate/internal/cert"
	"gridgate/internal/dispatch"
	"gridgate/internal/engine"
	"gridgate/internal/grid"
	"gridgate/internal/people"
	"gridgate/internal/profile"
)

// A reload reads the configuration and the files that it names again while frames come. All
// that can fail is tried before anything is touched; then what may change while it runs does,
// between two frames, and what may not is named.

// live is a value that a reload puts another in the place of.
type live[T any] struct{ p atomic.Pointer[T] }

func (l *live[T]) now() *T { return l.p.Load() }

// reloading is what a reload needs to know of what is in force.
type reloading struct {
	one    sync.Mutex // at a time
	reread func() (Config, error)
	level  *slog.LevelVar

	cfg       live[Config]
	files     map[string]string // sums by key, as read when they were put in force; guarded by one
	calendars live[calendar.Calendars]
	rules     live[alarm.Rules]
	profiles  live[profile.Set]
	templates map[string]*dispatch.Template
	replaced  []*profile.Set // guarded by one; closed at the end
}

// changeable are the keys that a reload puts in force.
var changeable = []string{"rules", "tickets", "calendars", "profiles", "dispatch.connectors", "limits.device_rate", "limits.device_burst", "rollout.min_frames", "rollout.max_worse_percent", "log.level"}

// Reloads says where a reload reads the configuration from, and which level of the log it may
// set. It is called before Run.
func (g *Gateway) Reloads(reread func() (Config, error), level *slog.LevelVar) {
	g.reloading.reread, g.reloading.level = reread, level
}

// began notes what is in force at the start.
func (r *reloading) began(g *Gateway) {
	r.cfg.p.Store(&g.cfg)
	r.calendars.p.Store(g.calendars)
	r.rules.p.Store(g.alarmRules)
	r.profiles.p.Store(g.profiles)
	r.files = g.cfg.fileSums()
}

// close ends what profiles run, those that were replaced too: an uploaded version may have been
// compiled with them.
func (r *reloading) close() error {
	for _, old := range append(r.replaced, r.profiles.now()) {
		old.Close()
	}
	return nil
}

// Reload puts what has changed in force, or refuses the whole with the reason.
func (g *Gateway) Reload(ctx context.Context) (api.Reload, error) {
	r := &g.reloading
	r.one.Lock()
	defer r.one.Unlock()
	out, err := g.reload(ctx)
	if err != nil {
		g.log.Error("configuration is not reloaded, all is as it was", "err", err)
		return out, grid.Errorf(grid.Invalid, "nothing was reloaded: %w", err)
	}
	g.log.Info("configuration is reloaded", "changed", out.Changed, "restart", out.Restart)
	return out, nil
}

func (g *Gateway) reload(ctx context.Context) (out api.Reload, err error) {
	r := &g.reloading
	was := r.cfg.now()
	next := *was
	if r.reread != nil {
		if next, err = r.reread(); err != nil {
			return out, err
		}
	}
	t, err := g.try(ctx, &next)
	if err != nil {
		return out, err
	}
	changed, err := r.changes(&next)
	if err != nil {
		t.drop()
		return out, err
	}
	out = api.Reload{At: time.Now().UTC(), Changed: []string{}, Restart: []string{}}
	for _, key := range changed {
		switch {
		case !slices.Contains(changeable, key), key == "calendars" && t.calendars.Zone().String() != r.calendars.now().Zone().String():
			out.Restart = append(out.Restart, key)
		default:
			out.Changed = append(out.Changed, key)
		}
	}
	out.Restart = append(out.Restart, t.newConnectors...)
	if slices.Contains(out.Restart, "calendars") { // rules and clocks stand in their zone
		t.drop()
		return out, fmt.Errorf("calendars: zone is %s and was %s: want a restart for that", t.calendars.Zone(), r.calendars.now().Zone())
	}
	if !slices.Contains(out.Changed, "profiles") {
		t.profiles.Close()
		t.profiles = r.profiles.now()
	}
	if len(out.Changed) == 0 {
		return out, nil
	}
	return out, g.force(ctx, &next, t)
}

// tried is what was read, and works.
type tried struct {
	*Gateway      // with the rules of the next configuration, and nothing that runs
	settings      engine.Settings
	specs         map[string]*dispatch.TemplateSpec
	newConnectors []string
}

func (t *tried) drop() { t.profiles.Close() }

// try reads everything that the next start would read, and changes nothing.
func (g *Gateway) try(ctx context.Context, next *Config) (*tried, error) {
	n := New(*next, slog.New(slog.DiscardHandler))
	n.clock = g.clock
	rules, plans, version, err := n.rules()
	if err != nil {
		return nil, err
	}
	t := &tried{Gateway: n, settings: engine.Settings{
		Rules: rules, Plans: plans, Calendars: n.calendars, People: people.NewBook(n.calendars), Profiles: n.profiles, ConfigVersion: version,
		Limit: engine.Limit{Rate: next.Limits.DeviceRate, Burst: next.Limits.DeviceBurst},
		Guard: engine.Guard{Frames: next.Rollout.MinFrames, Percent: next.Rollout.MaxWorsePercent},
	}}
	if err := errors.Join(next.readable(), g.tryConnectors(ctx, t, next)); err != nil {
		t.drop()
		return nil, err
	}
	return t, nil
}

// readable tries the files that only a start reads, so that a reload does not leave behind a
// configuration that the next start fails on.
func (c *Config) readable() error {
	var errs []error
	if h := c.HTTP.TLS; h.Listen != "" && len(h.ACME.Domains) == 0 {
		files := cert.Files{}
		files.Cert, files.Key = c.pair()
		if _, err := files.Current(); err != nil {
			errs = append(errs, fmt.Errorf("http.tls: %w", err))
		}
	}
	for key, path := range c.secretFiles() {
		if path == "" {
			continue
		}
		if _, err := os.ReadFile(path); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) secretFiles() map[string]string {
	out := map[string]string{"influx.token_file": c.Influx.TokenFile, "dispatch.mail.password_file": c.Dispatch.Mail.PasswordFile}
	for _, m := range c.MQTT {
		out["mqtt "+m.Name+": password_file"] = m.PasswordFile
	}
	return out
}

// tryConnectors reads the connectors that are data, and asks each that has changed whether its
// units have what it wants.
func (g *Gateway) tryConnectors(ctx context.Context, t *tried, next *Config) (err error) {
	if t.specs, err = dispatch.LoadTemplates(next.ConnectorDirs()...); err != nil {
		return fmt.Errorf("dispatch.connectors: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(t.specs)) {
		if g.reloading.templates[name] == nil {
			t.newConnectors = append(t.newConnectors, "dispatch.connectors: "+name+" is new")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(g.reloading.templates)) {
		spec := t.specs[name]
		if spec == nil {
			t.newConnectors = append(t.newConnectors, "dispatch.connectors: "+name+" is gone")
			continue
		}
		if spec.Poll != nil != g.reloading.templates[name].Asks() {
			return fmt.Errorf("dispatch.connectors: %s: poll came or went: want a restart for that", name)
		}
		units, err := g.unitsBy(ctx, name)
		if err != nil {
			return err
		}
		for _, id := range units {
			u, err := g.store.Unit(ctx, id)
			if err == nil {
				err = dispatch.NewTemplate(spec, dispatch.Reach{}).Check(u)
			}
			if err != nil {
				return fmt.Errorf("dispatch.connectors: %s: %w", name, err)
			}
		}
	}
	return nil
}

// force puts in force what was tried. The engine is asked first, as it may refuse; nothing
// after it can fail.
func (g *Gateway) force(ctx context.Context, next *Config, t *tried) error {
	r := &g.reloading
	t.settings.Profiles = t.profiles
	if err := g.engine.Reload(ctx, t.settings); err != nil {
		if t.profiles != r.profiles.now() {
			t.drop()
		}
		return err
	}
	if t.profiles != r.profiles.now() {
		r.replaced = append(r.replaced, r.profiles.now())
	}
	r.calendars.p.Store(t.calendars)
	r.rules.p.Store(t.alarmRules)
	r.profiles.p.Store(t.profiles)
	for name, spec := range t.specs {
		if c := r.templates[name]; c != nil {
			c.Replace(spec)
		}
	}
	if r.level != nil {
		r.level.Set(next.Log.level())
	}
	inForce := *r.cfg.now()
	inForce.Rules, inForce.Tickets, inForce.Calendars, inForce.Profiles = next.Rules, next.Tickets, next.Calendars, next.Profiles
	inForce.Dispatch.Connectors, inForce.Limits.DeviceRate, inForce.Limits.DeviceBurst = next.Dispatch.Connectors, next.Limits.DeviceRate, next.Limits.DeviceBurst
	inForce.Rollout, inForce.Log.Level = next.Rollout, next.Log.Level
	r.cfg.p.Store(&inForce)
	sums := next.fileSums()
	for key := range sums {
		if slices.Contains(changeable, key) {
			r.files[key] = sums[key]
		}
	}
	return nil
}

// changes names the keys whose value or whose file is not what is in force.
func (r *reloading) changes(next *Config) ([]string, error) {
	was, err := r.cfg.now().flat()
	if err != nil {
		return nil, err
	}
	is, err := next.flat()
	if err != nil {
		return nil, err
	}
	changed := map[string]bool{}
	for _, pair := range []struct{ a, b map[string]string }{{was, is}, {is, was}, {r.files, next.fileSums()}} {
		for key, v := range pair.a {
			if w, ok := pair.b[key]; !ok || w != v {
				changed[key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(changed)), nil
}

// flat is the configuration by its keys, a list being one value.
func (c *Config) flat() (map[string]string, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	out := map[string]string{}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		if m, is := v.(map[string]any); is && len(m) > 0 {
			for k, in := range m {
				walk(strings.TrimPrefix(prefix+"."+k, "."), in)
			}
			return
		}
		out[prefix] = fmt.Sprint(v)
	}
	walk("", tree)
	return out, nil
}

// fileSums are sums of the files and folders that keys name.
func (c *Config) fileSums() map[string]string {
	out := map[string]string{}
	for key, path := range map[string]string{
		"rules": c.Rules, "tickets": c.Tickets, "calendars": c.Calendars, "hazards": c.Hazards, "commissioning": c.Commissioning, "figures": c.Figures, "routes": c.Routes,
		"contractors": c.Contractors, "duty": c.Duty, "privacy": c.Privacy, "labels.file": c.Labels.File, "dispatch.cap": c.Dispatch.CAP, "dispatch.open311": c.Dispatch.Open311,
	} {
		out[key] = sumOf(path)
	}
	for key, folders := range map[string][]string{"profiles": c.Profiles, "dispatch.connectors": c.Dispatch.Connectors, "registry": c.Registry} {
		for _, f := range folders {
			out[key] += sumOf(f)
		}
	}
	return out
}

// sumOf is of what lies at a path, with the names of files; what cannot be read is found by
// those who read it.
func sumOf(path string) string {
	if path == "" {
		return ""
	}
	h := sha256.New()
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(p)
		fmt.Fprintf(h, "%s %d %v\n", p, len(b), err != nil)
		h.Write(b)
		return nil
	})
	return fmt.Sprintf("%x", h.Sum(nil))
}
