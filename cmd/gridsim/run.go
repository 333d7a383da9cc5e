package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/scenario"
	"gridgate/simulator/verdict"
)

// running is what `gridsim run` was told.
type running struct {
	scenario.Options
	all, list, schema, tell bool
	faults                  bool
	junit, html             string
	jobs                    int
}

func runCommand() *cobra.Command {
	r := &running{}
	cmd := &cobra.Command{
		Use:   "run SCENARIO…",
		Short: "a day with its accidents, faults and people, and a verdict",
		Long: `run plays scenarios, files or names of --list, and says for each expectation whether it was
met, with its evidence. Without --gateway it starts a gateway of its own in a folder of its
own, with the broker and the InfluxDB that the scenario wants, and its city's time runs as
fast as the scenario says. With --gateway it refuses one that does not report
simulation.allowed; what cannot be done to a gateway that is not its own (kill -9) is told
as not played. Everything is registered as simulated.

Exit codes: 0 all met, 4 an expectation was not met, 1 it could not be played.`,
		Example: `  gridsim run --list
  gridsim run kitchen-smoke --html report.html
  gridsim run --all --junit results/ --html results/
  gridsim run my-day.yaml --gateway http://127.0.0.1:8080 --token $(cat token) --broker mqtt://127.0.0.1:1883 --user gridgate`,
		RunE: func(cmd *cobra.Command, names []string) error { return r.run(cmd, names) },
	}
	f := cmd.Flags()
	f.BoolVar(&r.list, "list", false, "list the scenarios that come with gridsim")
	f.BoolVar(&r.faults, "faults", false, "list the faults that a scenario may name, with their parameters")
	f.BoolVar(&r.all, "all", false, "play all of them")
	f.BoolVar(&r.schema, "schema", false, "print the JSON schema of scenario files, for editors")
	f.BoolVar(&r.tell, "tell", false, "tell what happens while it happens")
	f.StringVar(&r.junit, "junit", "", "write the verdicts as JUnit XML to this `file`, or into this folder/, one a scenario")
	f.StringVar(&r.html, "html", "", "write a page to this `file`, or into this folder/, one a scenario and index.html over all")
	f.IntVar(&r.jobs, "jobs", 4, "scenarios at the same time, each with a gateway of its own")
	f.StringVar(&r.Gateway, "gateway", "", "address of a gateway that runs, for example http://127.0.0.1:8080")
	f.StringVar(&r.Token, "token", os.Getenv("GRIDGATE_TOKEN"), "its administrator's token (default: $GRIDGATE_TOKEN)")
	cmd.Flag("token").DefValue = ""
	f.StringVar(&r.Broker.URL, "broker", "mqtt://127.0.0.1:1883", "its MQTT broker")
	f.StringVar(&r.Broker.User, "user", "", "user name at the broker")
	f.StringVar(&r.Broker.Password, "password", os.Getenv("GRIDSIM_PASSWORD"), "password at the broker (default: $GRIDSIM_PASSWORD)")
	cmd.Flag("password").DefValue = ""
	f.Uint64Var(&r.Seed, "seed", 0, "instead of the scenario's")
	f.Float64Var(&r.Speed, "speed", 0, "instead of the scenario's")
	f.DurationVar(&r.Slack, "slack", 0, "real time by which windows are widened for this machine's own delay (default: 500ms)")
	f.BoolVar(&r.Once, "once", false, "not once more, slower, where this machine was too busy for a scenario's speed")
	f.StringVar(&r.Gridgate, "gridgate", "", "the gateway's program (default: beside gridsim, or on the PATH)")
	f.StringVar(&r.Influxd, "influxd", "", "InfluxDB's program, for scenarios that want it")
	f.StringVar(&r.Dir, "dir", "", "keep what the gateway wrote in this folder/SCENARIO")
	return cmd
}

func (r *running) run(cmd *cobra.Command, names []string) error {
	switch {
	case r.list:
		return r.tellList(cmd)
	case r.faults:
		for _, w := range scenario.FaultList() {
			if err := result(cmd, w, fmt.Sprintf("%-16s %-14s %s / %s", w.Name, w.With, w.Text.ZH, w.Text.EN)); err != nil {
				return err
			}
		}
		return nil
	case r.schema:
		_, err := cmd.OutOrStdout().Write(scenario.Schema())
		return err
	case r.all == (len(names) > 0):
		return usageError{errors.New("want the names of scenarios, or --all, or --list")}
	}
	all, err := r.load(names)
	if err != nil {
		return usageError{err}
	}
	results, failed := r.playAll(cmd, all)
	if err := r.write(results, failed); err != nil {
		return err
	}
	notMet := 0
	for i := range results {
		if results[i].Outcome == verdict.NotMet {
			notMet++
		}
	}
	switch {
	case failed != nil:
		return errors.Join(failed...)
	case notMet > 0:
		return notMetError{fmt.Errorf("%d of %d scenarios are not met", notMet, len(results))}
	}
	return nil
}

func (r *running) tellList(cmd *cobra.Command) error {
	for _, name := range scenario.List() {
		s, err := scenario.Load(name)
		if err != nil {
			return err
		}
		v := map[string]any{"name": name, "title": s.Name, "about": s.About, "speed": s.Speed, "length_s": time.Duration(s.Length).Seconds(), "slow": s.Slow}
		text := fmt.Sprintf("%-24s %4.0f s  %s / %s", name, time.Duration(s.Length).Seconds()/s.Speed, s.Name.ZH, s.Name.EN)
		if err := result(cmd, v, text); err != nil {
			return err
		}
	}
	return nil
}

// load reads what is to be played, before anything is.
func (r *running) load(names []string) ([]*scenario.Scenario, error) {
	if r.all {
		names = scenario.List()
	}
	var out []*scenario.Scenario
	for _, name := range names {
		s, err := scenario.Load(name)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// playAll plays them, some at the same time if each has a gateway of its own.
func (r *running) playAll(cmd *cobra.Command, all []*scenario.Scenario) (results []verdict.Result, failed []error) {
	jobs := max(r.jobs, 1)
	if r.Gateway != "" {
		jobs = 1
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, jobs)
	done := make([]*verdict.Result, len(all))
	for i, s := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			res, err := r.playOne(cmd.Context(), cmd, s)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", s.ID, err))
				return
			}
			done[i] = &res
			if err := result(cmd, res, strings.TrimSuffix(res.Summary(), "\n")); err != nil {
				failed = append(failed, err)
			}
		})
	}
	wg.Wait()
	for _, res := range done {
		if res != nil {
			results = append(results, *res)
		}
	}
	return results, failed
}

func (r *running) playOne(ctx context.Context, cmd *cobra.Command, s *scenario.Scenario) (verdict.Result, error) {
	o := r.Options
	if o.Dir != "" {
		o.Dir = filepath.Join(o.Dir, s.ID)
	}
	if r.tell {
		o.Notes = simulator.Print(cmd.ErrOrStderr(), wantsJSON(cmd))
	}
	return scenario.Run(ctx, s, o)
}

// write writes the files that are wanted.
func (r *running) write(results []verdict.Result, failed []error) error {
	if isFolder(r.html) {
		var why []string
		for _, err := range failed {
			why = append(why, err.Error())
		}
		err := writeFile(filepath.Join(r.html, "index.html"), func(w io.Writer) error { return verdict.WriteIndex(w, why, results...) })
		if err != nil {
			return err
		}
	}
	err := each(r.junit, ".xml", results, func(w io.Writer, some ...verdict.Result) error { return verdict.WriteJUnit(w, some...) })
	return cmp.Or(err, each(r.html, ".html", results, func(w io.Writer, some ...verdict.Result) error {
		if len(some) != 1 {
			return grid.Errorf(grid.Invalid, "--html is a file: want a folder/ for %d scenarios", len(some))
		}
		return verdict.WriteHTML(w, some[0])
	}))
}

// each writes one file for all, or one for each into a folder.
func each(to, ext string, results []verdict.Result, write func(io.Writer, ...verdict.Result) error) error {
	if to == "" || len(results) == 0 {
		return nil
	}
	if !isFolder(to) {
		return writeFile(to, func(w io.Writer) error { return write(w, results...) })
	}
	for _, one := range results {
		if err := writeFile(filepath.Join(to, one.Scenario+ext), func(w io.Writer) error { return write(w, one) }); err != nil {
			return err
		}
	}
	return nil
}

func isFolder(to string) bool {
	info, err := os.Stat(to)
	return strings.HasSuffix(to, "/") || err == nil && info.IsDir()
}

func writeFile(path string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
