package gateway

import (
	"bytes"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// system is how the gateway is at this moment.
func (g *Gateway) system() api.System {
	e, j, d := g.engine.Stats(), g.journal.Stats(), g.dispatcher.Stats()
	out := api.System{
		Started: g.started.UTC(), EngineTime: e.EngineTime, Devices: e.Devices, Points: e.Points, OpenTickets: e.OpenTickets,
		Disk:   api.SystemDisk{Free: j.Disk.Free, Total: j.Disk.Total, ReserveHeld: j.ReserveHeld},
		Engine: api.SystemEngine{Frames: e.Frames, Batches: e.Batches, Commands: e.Commands, FailedCommits: e.FailedCommits, LastBatchMS: ms(e.LastBatch), LongestBatchMS: ms(e.LongestBatch)},

		LostUnackable: g.lost(), Unjournalled: g.unjournalled.Load(),
	}
	for n, l := range j.Lanes {
		out.Lanes = append(out.Lanes, api.SystemLane{
			Lane: grid.Lane(n).String(), Head: l.Head.Seq, First: l.First, Since: l.Since, Bytes: l.Bytes, Segments: l.Segments,
			Waiting: max(l.Head.Seq, e.Cursors[n]) - e.Cursors[n], Refusing: l.Refusing, Failed: l.Failed,
			LastCommitMS: ms(l.LastCommit), WorstCommitMS: ms(l.WorstCommit), Deliveries: d.Lanes[n].Waiting, Deaf: append([]string{}, d.Lanes[n].Deaf...),
		})
	}
	if g.writer != nil {
		s := g.writer.Status()
		out.Influx = &api.SystemInflux{Up: s.Up, Since: s.Since, LastError: s.LastError, Written: s.Written, Rejected: s.Rejected, QueueBytes: s.QueueBytes, Oldest: s.Oldest}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	out.Process = api.SystemProcess{HeapBytes: m.HeapAlloc, Goroutines: runtime.NumGoroutine()}
	return out
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// effective is the configuration in force as its file would say it. What is secret is
// left out; the names of files that hold secrets are not.
func (g *Gateway) effective() (map[string]any, error) {
	var text bytes.Buffer
	if err := yaml.NewEncoder(&text).Encode(*g.inForce()); err != nil {
		return nil, grid.Errorf(grid.Internal, "configuration: %w", err)
	}
	var out map[string]any
	if err := yaml.Unmarshal(text.Bytes(), &out); err != nil {
		return nil, grid.Errorf(grid.Internal, "configuration: %w", err)
	}
	redact(out)
	return out, nil
}

// inForce is the configuration, with what a reload has changed.
func (g *Gateway) inForce() *Config {
	if c := g.reloading.cfg.now(); c != nil {
		return c
	}
	return &g.cfg
}

// notShown stands for a value that is secret.
const notShown = "(set, not shown)"

// redact replaces what is secret by its key: a password, key, secret or token in the file itself.
func redact(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, in := range v {
			text, isText := in.(string)
			switch {
			case isText && text != "" && isSecretKey(k):
				v[k] = notShown
			case isText:
				v[k] = withoutPassword(text)
			default:
				redact(in)
			}
		}
	case []any:
		for i, in := range v {
			if text, ok := in.(string); ok {
				v[i] = withoutPassword(text)
				continue
			}
			redact(in)
		}
	}
}

// withoutPassword takes the password out of an address.
func withoutPassword(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return notShown
	}
	if _, has := u.User.Password(); has {
		return u.Redacted()
	}
	return text
}

// isSecretKey reports whether a key of the configuration names a secret itself, not the file
// or folder where one is. An address may carry a password: see withoutPassword.
func isSecretKey(key string) bool {
	if strings.HasSuffix(key, "_file") || strings.HasSuffix(key, "_files") {
		return false
	}
	for _, word := range []string{"password", "secret", "token", "psk", "passphrase"} {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}
