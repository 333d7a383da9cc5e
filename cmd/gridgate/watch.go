package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/cert"
	"gridgate/internal/dispatch"
	"gridgate/internal/grid"
	"gridgate/internal/registry"
)

// watchCommand runs on a second machine: nobody can tell of his own death.
func (a *app) watchCommand() *cobra.Command {
	w := &watch{app: a, send: map[string]grid.Connector{}}
	var url, file string
	var once bool
	cmd := &cobra.Command{
		Use: "watch --gateway URL --tell FILE", Short: "On a second machine: tell the duty lead when the gateway falls silent or cannot send", Args: args(cobra.NoArgs),
		Long: "Ask a gateway on another machine again and again whether it works, and tell the units of FILE when\n" +
			"it does not answer, its engine or its journal stands still, or (with a token of a viewer, --token or\n" +
			"GRIDGATE_TOKEN) units cannot be told; again every --again while that lasts, and once when it is over.\n" +
			"FILE is a registry file with units: their connector is webhook or one that is data (gridgate connector\n" +
			"list: chat rooms, telephone calls, short messages). One that comes and goes is told of once: the good\n" +
			"time that is asked for before it counts as over grows with each fall.\n\n" +
			"--test tells the units that this is a test, and ends: 0 all have it, 1 not all.",
		Example: "  gridgate watch --gateway https://gateway:8443 --tell duty.yaml\n  gridgate watch --tell duty.yaml --test",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" || url == "" && !once {
				return usage(cmd, errors.New("want --gateway and --tell"))
			}
			if err := w.load(file); err != nil {
				return err
			}
			if once {
				return w.tell(cmd.Context(), "test", "测试：网关值守 / Test: the watch over the gateway", "")
			}
			w.client = &api.Client{URL: strings.TrimRight(url, "/"), Token: cmp.Or(a.token, a.env("GRIDGATE_TOKEN"))}
			return w.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&url, "gateway", "", "`URL` of the gateway")
	f.StringVar(&file, "tell", "", "`FILE` with the units to tell")
	f.DurationVar(&w.every, "every", 15*time.Second, "how often it is asked")
	f.IntVar(&w.judge.After, "after", 3, "failures one after another before anybody is told")
	f.DurationVar(&w.judge.Calm, "calm", time.Minute, "how long it is to be well before it is over; twice as long with each fall of the last six hours")
	f.DurationVar(&w.judge.Again, "again", 30*time.Minute, "how often those who were told are told again")
	f.BoolVar(&once, "test", false, "tell the units that this is a test, and end")
	return cmd
}

// watch is the watch over a gateway.
type watch struct {
	app    *app
	client *api.Client
	every  time.Duration
	judge  judge
	units  []grid.Unit
	send   map[string]grid.Connector
}

// load reads who is to be told, and makes what tells them.
func (w *watch) load(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	r, err := registry.Parse(b)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(r.Units) == 0 {
		return grid.Errorf(grid.Invalid, "%s names no units: want some to tell", file)
	}
	cfg, err := w.app.loadConfig()
	if err != nil {
		return err
	}
	reach := dispatch.Reach{Unit: w.unit, Now: time.Now}
	for _, s := range cfg.Dispatch.AllowCIDRs {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return err
		}
		reach.Allow = append(reach.Allow, p)
	}
	if reach.TLS, err = cert.Trusting(cfg.Dispatch.CA); err != nil {
		return fmt.Errorf("dispatch.ca: %w", err)
	}
	specs, err := dispatch.LoadTemplates(cfg.ConnectorDirs()...)
	if err != nil {
		return err
	}
	w.units = r.Units
	for _, u := range w.units {
		spec := specs[u.Connector]
		switch {
		case u.Connector == "webhook":
			w.send[u.Connector] = dispatch.NewWebhook(dispatch.WebhookConfig{Target: w.target, Allow: reach.Allow, TLS: reach.TLS})
		case spec != nil:
			t := dispatch.NewTemplate(spec, reach)
			if err := t.Check(u); err != nil {
				return err
			}
			w.send[u.Connector] = t
		default:
			return grid.Errorf(grid.Invalid, "unit %s: connector is %q: want webhook or one of %s", u.ID, u.Connector, strings.Join(slices.Sorted(maps.Keys(specs)), ", "))
		}
	}
	return nil
}

func (w *watch) unit(_ context.Context, id string) (grid.Unit, error) {
	for _, u := range w.units {
		if u.ID == id {
			return u, nil
		}
	}
	return grid.Unit{}, grid.Errorf(grid.NotFound, "unit %s: not found", id)
}

func (w *watch) target(ctx context.Context, id string) (dispatch.Target, error) {
	u, err := w.unit(ctx, id)
	return dispatch.Target{URL: u.URL, Secrets: dispatch.Secrets(u), Mode: u.Mode}, err
}

// run asks until ctx is done.
func (w *watch) run(ctx context.Context) error {
	w.app.say("watching %s, every %s; %d units are told", w.client.URL, w.every, len(w.units))
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	id := rand.Text()
	for {
		wrong := w.ask(ctx)
		if ctx.Err() != nil {
			return nil
		}
		switch said := w.judge.hear(time.Now(), wrong); said {
		case fell:
			id = rand.Text()
			w.loud(ctx, id, "网关失联或故障 / The gateway is silent or cannot work", wrong)
		case still:
			w.loud(ctx, id, "网关仍未恢复 / The gateway is still down", wrong)
		case over:
			w.loud(ctx, id, "网关已恢复 / The gateway works again", "")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ask is what is wrong with the gateway now; "" is nothing that anybody is woken for.
func (w *watch) ask(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, max(w.every, 5*time.Second))
	defer cancel()
	ready, err := w.client.Ready(ctx)
	if err != nil {
		return err.Error()
	}
	for _, part := range slices.Sorted(maps.Keys(ready.Parts)) {
		if said := ready.Parts[part]; said != "ok" && (part == "engine" || strings.HasPrefix(part, "journal.")) {
			return part + ": " + said
		}
	}
	if len(ready.Parts) == 0 {
		return "it answers, and not as a gateway does"
	}
	if w.client.Token == "" {
		return ""
	}
	s, err := w.client.System(ctx)
	if err != nil {
		return err.Error()
	}
	for _, l := range s.Lanes {
		if len(l.Deaf) > 0 && l.Lane == grid.Safety.String() {
			return "units cannot be told of alarms: " + strings.Join(l.Deaf, ", ")
		}
	}
	return ""
}

// loud tells, and says on the screen how that went; a unit that was not reached is tried again
// with the next word.
func (w *watch) loud(ctx context.Context, id, title, wrong string) {
	w.app.say("%s %s %s", time.Now().Format(time.RFC3339), title, wrong)
	if err := w.tell(ctx, id, title, wrong); err != nil {
		fmt.Fprintln(w.app.errOut, "gridgate:", err)
		w.judge.missed()
	}
}

// tell sends every unit a message.
func (w *watch) tell(ctx context.Context, ticket, title, wrong string) error {
	var errs []error
	for _, u := range w.units {
		now := time.Now().UTC()
		d := grid.Delivery{ID: rand.Text(), N: 1, Ticket: ticket, Unit: u.ID, Connector: u.Connector, Type: "ticket.opened", Priority: 1, Mode: cmp.Or(u.Mode, grid.Live), Created: now}
		d.Body = dispatch.Body(dispatch.Message{
			Delivery: d, Unit: u, Source: "/gridgate/watch", Note: wrong,
			Ticket: grid.Ticket{ID: ticket, Type: grid.EventGatewaySilent, Title: title, Place: wrong, Opened: now, Priority: 1, Mode: d.Mode, State: grid.TicketDispatched},
		})
		try, cancel := context.WithTimeout(ctx, 20*time.Second)
		_, err := w.send[u.Connector].Deliver(try, d)
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("unit %s is not told: %w", u.ID, err))
		}
	}
	return errors.Join(errs...)
}

// judge decides what is worth a word.
type judge struct {
	After int           // failures one after another
	Calm  time.Duration // good time before it is over
	Again time.Duration // reminders

	failed int
	down   bool
	told   time.Time // the last word
	good   time.Time // since when it is well; zero: it is not
	falls  []time.Time
}

type word int

const (
	nothing word = iota
	fell
	still
	over
)

// fallsCount is how long a fall is remembered.
const fallsCount = 6 * time.Hour

func (j *judge) hear(now time.Time, wrong string) word {
	if wrong != "" {
		j.failed, j.good = j.failed+1, time.Time{}
		switch {
		case !j.down && j.failed >= j.After:
			j.down, j.told = true, now
			j.falls = append(slices.DeleteFunc(j.falls, func(t time.Time) bool { return now.Sub(t) > fallsCount }), now)
			return fell
		case j.down && now.Sub(j.told) >= j.Again:
			j.told = now
			return still
		}
		return nothing
	}
	j.failed = 0
	if !j.down {
		return nothing
	}
	if j.good.IsZero() {
		j.good = now
	}
	calm := j.Calm << min(max(len(j.falls)-1, 0), 5)
	if now.Sub(j.good) < calm {
		return nothing
	}
	j.down, j.good = false, time.Time{}
	return over
}

// missed: the last word did not reach all, so that it is said again soon.
func (j *judge) missed() {
	if j.down {
		j.told = j.told.Add(-j.Again + time.Minute)
	}
}
