package influx

import (
	"strings"
	"testing"
	"time"
)

func inspected(t *testing.T, cfg Config) Inspection {
	t.Helper()
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Inspect(t.Context())
}

func TestAnInspectionTellsWhatIsWrongAndWhatToDo(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		i := inspected(t, p.Config)
		if i.V2 != p.v2 || i.Version == "" || len(i.Problems) > 0 {
			t.Fatalf("got %+v: want nothing wrong", i)
		}
		for what, change := range map[string]func(*Config) string{
			"token":        func(c *Config) string { c.Token = "another"; return "refuses the token" },
			"bucket":       func(c *Config) string { c.Bucket = "another"; return "influx bucket create" },
			"organisation": func(c *Config) string { c.Org = ""; return "want an organisation for 2.x" },
		} {
			if !p.v2 {
				continue // no token, a database is made, no organisation
			}
			cfg := p.Config
			if want := change(&cfg); !strings.Contains(strings.Join(inspected(t, cfg).Problems, "\n"), want) {
				t.Errorf("another %s: %q: want %q", what, inspected(t, cfg).Problems, want)
			}
		}
		cfg := p.Config
		cfg.URL = "http://127.0.0.1:1"
		if i := inspected(t, cfg); len(i.Problems) != 1 || !strings.Contains(i.Problems[0], "does not answer") {
			t.Errorf("nobody there: %+v", i)
		}
	})
}

func TestAnInspectionReadsTheRetention(t *testing.T) {
	onBoth(t, func(t *testing.T, p *peer) {
		c, err := NewClient(p.Config)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := c.Inspect(t.Context()).Retention; got != 0 {
			t.Errorf("retention is %v: want for ever", got)
		}
		if p.v2 {
			return
		}
		if _, err := c.query(t.Context(), "POST", `ALTER RETENTION POLICY autogen ON gridgate DURATION 2w`); err != nil {
			t.Fatal(err)
		}
		if got := c.Inspect(t.Context()).Retention; got != 14*24*time.Hour {
			t.Errorf("retention is %v: want two weeks", got)
		}
	})
}
