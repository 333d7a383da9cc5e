package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/grid"
	"gridgate/simulator"
	"gridgate/simulator/load"
)

// kneeFlags of bench: steps over any wire, and the comparison.
type kneeFlags struct {
	until, wire, step, html string
	from, to                float64
	length, p99             time.Duration
	refine                  int
	mix                     string
	gateway, token          string
	ends                    simulator.Ends
	rig                     load.RigConfig

	compare, config string
}

func (k *kneeFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&k.until, "until", "", "knee: go up in steps until a rate is not held")
	fl.StringVar(&k.wire, "wire", "mqtt", "mqtt, coap, coaps, lwm2m, gbt26875, modbus or lines")
	fl.Float64Var(&k.from, "from", 1000, "rate of the first step, frames a second")
	fl.StringVar(&k.step, "step", "x1.5", "from step to step: frames a second more, or a factor")
	fl.Float64Var(&k.to, "to", 0, "no step above this rate")
	fl.IntVar(&k.refine, "refine", 2, "halvings between the last rate that was held and the first that was not")
	fl.DurationVar(&k.length, "step-length", 10*time.Second, "how long a rate is offered")
	fl.DurationVar(&k.p99, "p99", 250*time.Millisecond, "a rate is held with this p99 at most, from due to acknowledged")
	fl.StringVar(&k.mix, "mix", "wires", "whose models speak, over other wires than mqtt: as of fleet")
	fl.StringVar(&k.html, "html", "", "write the curve as a page to this `file`")
	fl.StringVar(&k.gateway, "gateway", "", "address of a gateway that runs and allows simulation (default: one of its own)")
	fl.StringVar(&k.token, "token", os.Getenv("GRIDGATE_TOKEN"), "its administrator's token (default: $GRIDGATE_TOKEN)")
	cmd.Flag("token").DefValue = ""
	fl.StringVar(&k.ends.CoAP, "coap", "127.0.0.1:5683", "that gateway's CoAP and LwM2M over UDP")
	fl.StringVar(&k.ends.CoAPS, "coaps", "127.0.0.1:5684", "its CoAP over DTLS")
	fl.StringVar(&k.ends.GBT26875, "gbt26875", "127.0.0.1:5000", "its GB/T 26875.3 over TCP")
	fl.StringVar(&k.ends.Lines, "lines", "lines", "folder for the links to its serial lines")
	rigFlags(cmd, &k.rig)
	fl.StringVar(&k.compare, "compare", "", "another program from MQTT to InfluxDB, `name=path`: the same frames, one after the other")
	fl.StringVar(&k.config, "compare-config", "", "its configuration, with {{broker}} {{influx}} {{database}} {{topic}} (default: Telegraf's, ours)")
}

// sweep reads the flags of the steps.
func (k *kneeFlags) sweep() (s load.Sweep, err error) {
	if k.until != "knee" {
		return s, usageError{fmt.Errorf("until is %q: want knee", k.until)}
	}
	s = load.Sweep{From: k.from, Most: k.to, Refine: k.refine, Line: load.DefaultLine()}
	s.Line.P99 = k.p99
	if factor, found := strings.CutPrefix(k.step, "x"); found {
		s.Factor, err = strconv.ParseFloat(factor, 64)
	} else {
		s.Step, err = strconv.ParseFloat(k.step, 64)
	}
	if err != nil {
		return s, usageError{fmt.Errorf("step is %q: want frames a second, or a factor such as x1.5", k.step)}
	}
	return s, nil
}

func (k *kneeFlags) knee(cmd *cobra.Command, c *common, l simulator.Load) error {
	sweep, err := k.sweep()
	if err != nil {
		return err
	}
	wire, err := simulator.ParseWire(k.wire)
	if err != nil {
		return usageError{err}
	}
	l.Broker = c.broker
	b := load.Bench{Wire: wire, Load: l, Mix: k.mix, Devices: l.Devices, Seed: c.seed, Window: l.Window, Length: k.length, Sweep: sweep,
		Gateway: load.Gateway{URL: k.gateway, Token: k.token}, Ends: k.ends}
	if !cmd.Flags().Changed("window") {
		b.Window = 20_000 // open loop: what is due leaves
	}
	if k.gateway == "" {
		b.Own = &k.rig
	}
	if !wantsJSON(cmd) {
		said := false
		b.Sweep.Told = func(s load.Step) {
			if !said {
				fmt.Fprintln(cmd.OutOrStdout(), load.Head)
				said = true
			}
			fmt.Fprintln(cmd.OutOrStdout(), s.Row())
		}
	}
	res, err := b.Run(cmd.Context(), runtime.NumCPU())
	if k.html != "" && len(res.Steps) > 0 {
		err = cmp.Or(err, res.Keep(k.html))
	}
	if err != nil {
		return err
	}
	return result(cmd, res, fmt.Sprintf("\n%s: %s. The rule: %s.\n%s", res.Words(), res.Limits, res.Rule, res.Said()))
}

func (k *kneeFlags) against(cmd *cobra.Command, l simulator.Load) error {
	name, path, found := strings.Cut(k.compare, "=")
	switch {
	case !found || name == "" || path == "":
		return usageError{fmt.Errorf("compare is %q: want name=path", k.compare)}
	case l.Count == 0:
		return usageError{errors.New("a comparison needs an end: want --count")}
	case name != "telegraf" && k.config == "":
		return usageError{grid.Errorf(grid.Invalid, "%s has no configuration here: want --compare-config FILE", name)}
	}
	c := load.Comparison{Rig: k.rig, Load: l, Rate: l.Rate, Count: l.Count, Quiet: 20 * time.Second, Rival: load.Rival{Name: name, Program: path, Config: k.config}}
	all, err := c.Run(cmd.Context())
	if err != nil {
		return err
	}
	lines := []string{load.CompareHead}
	for i := range all {
		lines = append(lines, all[i].Row())
	}
	return result(cmd, all, strings.Join(append(lines, "", load.SaidOf(all)), "\n"))
}
