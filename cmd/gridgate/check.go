package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/gateway"
	"gridgate/internal/grid"
)

// report is what gridgate check found.
type report struct {
	OK         bool              `json:"ok"`
	Problems   []string          `json:"problems"`
	Warnings   []string          `json:"warnings,omitempty"` // well now, and not for ever
	Ready      *api.Readiness    `json:"ready,omitempty"`    // absent: no gateway answers
	Transports []grid.LinkHealth `json:"transports,omitempty"`
	Ledger     *api.Ledger       `json:"ledger,omitempty"`   // as the running gateway counts
	Recount    *gateway.Recount  `json:"recount,omitempty"`  // as its files say; absent: they are not on this machine
	Findings   []gateway.Finding `json:"findings,omitempty"` // of what it stands on, each with the fix; they are among problems and warnings too
}

func (r *report) wrong(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (a *app) checkCommand() *cobra.Command {
	var offline, start bool
	cmd := &cobra.Command{
		Use: "check", Short: "Check that a gateway is well and that its ledger balances",
		Long: "Show the health of each transport of the running gateway, check that every part is up, that\n" +
			"each Modbus unit answers and that the ledger balances, and count again, independently, from\n" +
			"the files of its data folder: what the journal accepted against what the state says became\n" +
			"of it. On the gateway's machine it also looks at what the gateway stands on: the clock, the\n" +
			"disk and its syncs, ports and who has them, serial lines, brokers elsewhere and their limits,\n" +
			"InfluxDB and the types of its fields, certificates, the first\n" +
			"password, the age of backups, each with what to do. --offline checks the files alone; --start,\n" +
			"before a start, also what a start will find, and that no gateway answers is no fault then.\n\n" +
			"Exit codes: 0 all well, 1 something is wrong, 3 no gateway answers.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &report{Problems: []string{}}
			unreachable := error(nil)
			if !offline && !start {
				unreachable = a.checkRunning(cmd.Context(), r)
				if unreachable != nil && !errors.Is(unreachable, api.ErrUnreachable) {
					return unreachable
				}
			}
			if err := a.checkFiles(cmd.Context(), r, offline); err != nil {
				return err
			}
			if cfg, err := a.loadConfig(); err == nil {
				if !offline {
					r.preflight(cmd.Context(), &cfg, !start && unreachable == nil)
				}
				r.checkCertificates(cmd.Context(), &cfg)
			}
			r.OK = len(r.Problems) == 0 && unreachable == nil
			if err := a.show(r, func() { a.printReport(r) }); err != nil {
				return err
			}
			if unreachable != nil {
				return unreachable
			}
			if !r.OK {
				return errSaid
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&start, "start", false, "before a start: what it will find; no gateway is asked")
	cmd.Flags().BoolVar(&offline, "offline", false, "do not ask a gateway, check the files alone")
	return cmd
}

// checkRunning asks the gateway.
func (a *app) checkRunning(ctx context.Context, r *report) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	ready, err := c.Ready(ctx)
	if err != nil {
		return err
	}
	r.Ready = &ready
	if err := r.checkSimulation(ctx, c, ready.Simulation); err != nil {
		return err
	}
	for _, part := range slices.Sorted(maps.Keys(ready.Parts)) {
		if state := ready.Parts[part]; state != "ok" {
			r.wrong("%s: %s", part, state)
		}
	}
	if err := r.checkLinks(ctx, c); err != nil {
		return err
	}
	if cfg, err := a.loadConfig(); err == nil {
		r.checkOpenFiles(ctx, c, &cfg)
		r.checkInflux(ctx, &cfg)
	}
	if err := r.checkAreas(ctx, c); err != nil {
		return err
	}
	l, err := c.Ledger(ctx)
	if err != nil {
		return err
	}
	r.Ledger = &l
	if !l.Balanced {
		r.wrong("the ledger of the running gateway does not balance")
	}
	return nil
}

// checkFiles recounts from the data folder, if it is on this machine.
func (a *app) checkFiles(ctx context.Context, r *report, must bool) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	count, err := cfg.CheckFiles(ctx, slog.New(slog.DiscardHandler))
	if grid.CodeOf(err) == grid.NotFound && !must {
		return nil
	}
	if err != nil {
		return err
	}
	r.Recount = &count
	for _, p := range count.Problems {
		r.wrong("recount: %s", p)
	}
	if abs, err := filepath.Abs(cfg.DataDir); err == nil && must {
		fmt.Fprintf(a.errOut, "checked %s\n", abs)
	}
	return nil
}

func (a *app) printReport(r *report) {
	if len(r.Transports) > 0 {
		a.printLinks(r.Transports)
	}
	if r.Ledger != nil {
		a.printLedger(*r.Ledger)
	}
	if r.Recount != nil {
		var rows [][]string
		for _, l := range r.Recount.Lanes {
			rows = append(rows, []string{l.Lane, fmt.Sprint(l.Accepted), fmt.Sprint(l.Ended), fmt.Sprint(l.Waiting)})
		}
		a.say("recount from the files")
		a.table("", []string{"LANE", "ACCEPTED", "ENDED", "WAITING"}, rows)
	}
	for _, w := range r.Warnings {
		a.say("warning: %s", w)
	}
	for _, p := range r.Problems {
		a.say("WRONG: %s", p)
	}
	switch {
	case r.OK:
		a.say("all well")
	case len(r.Problems) == 0:
		a.say("no gateway answers; its files are well")
	}
}

func (a *app) printLedger(l api.Ledger) {
	n := func(v int64) string { return fmt.Sprint(v) }
	var rows [][]string
	for _, r := range l.Rows {
		rows = append(rows, []string{r.Transport, r.Source, r.Lane, n(r.Processed), n(r.Duplicate), n(r.Ignored), n(r.Quarantined), n(r.Discarded)})
	}
	a.table("no frames yet", []string{"TRANSPORT", "SOURCE", "LANE", "PROCESSED", "DUPLICATE", "IGNORED", "QUARANTINED", "DISCARDED"}, rows)
	for _, lane := range l.Lanes {
		a.say("%s: %d accepted, %d waiting", lane.Lane, lane.Accepted, lane.Waiting)
	}
	if l.Lost > 0 {
		a.say("lost on wires without acknowledgement: %d", l.Lost)
	}
	if l.Balanced {
		a.say("the ledger balances")
	} else {
		a.say("THE LEDGER DOES NOT BALANCE")
	}
}
