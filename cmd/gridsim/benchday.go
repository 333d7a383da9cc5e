package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gridgate/simulator/load"
)

// rigFlags say where the programs lie that a bench starts itself.
func rigFlags(cmd *cobra.Command, r *load.RigConfig) {
	fl := cmd.Flags()
	fl.StringVar(&r.Gridgate, "gridgate", "", "the gateway's program (default: beside gridsim, or on the PATH)")
	fl.StringVar(&r.Influxd, "influxd", "", "InfluxDB's program")
	fl.StringVar(&r.Programs.Mosquitto, "mosquitto", "", "Mosquitto's program")
	fl.StringVar(&r.Dir, "dir", "", "keep what the programs wrote in this `folder`")
}

func benchTuesdayCommand() *cobra.Command {
	var d load.Day
	var day string
	cmd := &cobra.Command{
		Use:   "tuesday",
		Short: "an ordinary Tuesday of a district, on a gateway of its own",
		Long: `tuesday starts a gateway with its broker and an InfluxDB, registers a district, and lets it
live: heartbeats, cars, doors, weather, false smoke, low batteries; six units work on what
is told to them. Nothing else happens. It ends with a table, and exit code 3 if the ledger
does not balance.`,
		Example: "  gridsim bench tuesday --devices 100000 --speed 60 --for 10m",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if d.Rig.Start, err = time.Parse(time.RFC3339, day); err != nil {
				return usageError{fmt.Errorf("day is %q: want for example 2026-03-03T07:00:00+08:00", day)}
			}
			if !wantsJSON(cmd) {
				d.Told = func(n load.DayNow) {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s  %d sent, %d acknowledged, %.1f s late, %.0f wait, %.0f MB, %.1f µs CPU a frame, %d messages to units\n",
						n.City.Format("15:04:05"), n.Sent, n.Acked, n.LagS, n.Waiting, n.Memory/1e6, n.CPUEach, n.Messages)
				}
			}
			res, err := d.Play(cmd.Context())
			if err != nil {
				return err
			}
			if err := result(cmd, res, res.Table()); err != nil {
				return err
			}
			if !res.Balanced() {
				return lossError{errors.New("the ledger does not balance")}
			}
			return nil
		},
	}
	rigFlags(cmd, &d.Rig)
	fl := cmd.Flags()
	fl.IntVar(&d.Devices, "devices", 100_000, "of the district")
	fl.Uint64Var(&d.Seed, "seed", 1, "the same seed is the same day")
	fl.Float64Var(&d.Rig.Speed, "speed", 60, "seconds of the city in a real one")
	fl.DurationVar(&d.Length, "for", 10*time.Minute, "real time")
	fl.IntVar(&d.Window, "window", 4000, "messages that wait for the gateway's acknowledgement at most")
	fl.StringVar(&day, "day", "2026-03-03T07:00:00+08:00", "the city's time at the beginning: a Tuesday")
	return cmd
}
