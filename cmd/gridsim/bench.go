package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

func benchCommand() *cobra.Command {
	var c common
	var l simulator.Load
	var k kneeFlags
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "load: frames at a rate, in steps until the gateway bends, or against another program",
		Long: `bench publishes pre-encoded frames of one model over some connections, each with a window
of unacknowledged ones, at as little cost as it can, and prints what was acknowledged.
Without --rate it goes as fast as the broker acknowledges. With a rate it is open loop:
each frame has its time, and latencies count from it.

With --until knee it goes up in steps over any wire, on a gateway of its own or on that of
--gateway, until a rate is not held, and says at which. With --compare it gives the same
frames to a gateway and to another program from MQTT to InfluxDB, and counts what has come.`,
		Example: `  gridsim bench --until knee --wire mqtt --from 5000 --step 5000 --html knee.html
  gridsim bench --until knee --wire coap --devices 2000 --from 200 --step x1.5
  gridsim bench --compare telegraf=/usr/bin/telegraf --rate 5000 --count 200000
  gridsim bench --model bosch/tps110 --devices 1000000 --registry m.yaml --dry-run
  gridsim bench --model bosch/tps110 --devices 100000 --conns 1 --window 1000 --for 60s --json
  gridsim bench smoke --n 200 --gap 100ms`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l.Seed = c.seed
			switch {
			case k.until != "":
				return k.knee(cmd, &c, l)
			case k.compare != "":
				return k.against(cmd, l)
			}
			r, err := l.Registry()
			if err != nil {
				return usageError{err}
			}
			if done, err := c.write(r); done || err != nil {
				return err
			}
			return pushLoad(cmd, &c, l)
		},
	}
	c.brokerFlags(cmd)
	c.worldFlags(cmd)
	fl := cmd.Flags()
	fl.StringVar(&l.Profile, "model", "milesight/ws301", "milesight/ws301, bosch/tps110 or netvox/ra02a")
	fl.StringVar(&l.Envelope, "envelope", "native", "native (gridgate/up/…) or chirpstack")
	fl.IntVar(&l.Devices, "devices", 10_000, "devices, taking turns")
	fl.IntVar(&l.Conns, "conns", 1, "connections")
	fl.IntVar(&l.Window, "window", 1000, "unacknowledged frames per connection")
	fl.Float64Var(&l.Alarms, "alarms", 0.01, "share of frames that say open, occupied or fire")
	fl.Float64Var(&l.Rate, "rate", 0, "frames a second over all connections (default: as fast as acknowledged)")
	fl.Uint64Var(&l.Count, "count", 0, "stop after so many frames")
	fl.Uint32Var(&l.First, "first", 0, "counter of each device's first frame, when it was heard before")
	k.add(cmd)
	cmd.AddCommand(benchSmokeCommand(), benchTuesdayCommand())
	return cmd
}

func pushLoad(cmd *cobra.Command, c *common, l simulator.Load) error {
	if l.Count == 0 && c.length == 0 {
		return usageError{errors.New("bench needs an end: want --for or --count")}
	}
	l.Broker = c.broker
	ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
	if c.length > 0 {
		ctx, cancel = context.WithTimeout(ctx, c.length)
	}
	defer cancel()
	res, err := l.Run(ctx)
	if err != nil && res.Sent == 0 {
		return err
	}
	text := fmt.Sprintf("%s, %s: %d frames acknowledged of %d in %.2f s: %.0f frames/s (%d connections, window %d, %d devices, %d alarms, %.0f bytes each)\n"+
		"%s to PUBACK: p50 %.2f ms, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f",
		res.Profile, res.Envelope, res.Acked, res.Sent, res.Seconds, res.FramesPerS, res.Conns, res.Window, res.Devices, res.Alarms, res.BytesPerMsg,
		map[bool]string{true: "due", false: "publish"}[l.Rate > 0],
		res.Latency.P50, res.Latency.P90, res.Latency.P99, res.Latency.P999, res.Latency.Max)
	if perr := result(cmd, res, text); perr != nil {
		return perr
	}
	if err != nil {
		return err
	}
	if res.Acked != res.Sent {
		return lossError{fmt.Errorf("%d frames are not acknowledged", res.Sent-res.Acked)}
	}
	return nil
}

func benchSmokeCommand() *cobra.Command {
	var c common
	var s simulator.SmokeBench
	var kind string
	cmd := &cobra.Command{
		Use:   "smoke",
		Short: "time from a published smoke frame to the ticket at a unit's endpoint",
		Long: `smoke raises alarms, each of a smoke detector of its own, and times the arrival of each
ticket at the endpoint of one unit, which it plays itself. Run a load beside it for the
latency under load.`,
		Example: `  gridsim bench smoke --n 200 --port 9301 --seed 3 --registry smoke.yaml --dry-run
  gridsim bench smoke --n 200 --port 9301 --seed 3 --gap 100ms --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			units, err := simulator.NewUnits([]grid.UnitKind{grid.UnitKind(kind)}, c.seed)
			if err != nil {
				return usageError{err}
			}
			s.Unit, s.Seed, s.Broker = units[0], c.seed, c.broker
			r, err := s.Registry()
			if err != nil {
				return err
			}
			if done, err := c.write(r); done || err != nil {
				return err
			}
			return smoke(cmd, s)
		},
	}
	c.brokerFlags(cmd)
	c.worldFlags(cmd)
	fl := cmd.Flags()
	fl.IntVar(&s.N, "n", 100, "alarms")
	fl.DurationVar(&s.Gap, "gap", 100*time.Millisecond, "between two alarms")
	fl.DurationVar(&s.Wait, "wait", 10*time.Second, "after the last alarm, at most for tickets")
	fl.IntVar(&s.Port, "port", 9301, "loopback port of the unit")
	fl.StringVar(&kind, "unit", "micro_fire_station", "kind of the unit whose deliveries are timed")
	return cmd
}

func smoke(cmd *cobra.Command, s simulator.SmokeBench) error {
	res, err := s.Run(cmd.Context())
	if err != nil {
		return err
	}
	text := fmt.Sprintf("smoke: %d tickets of %d alarms at %s: p50 %.1f ms, p90 %.1f, p99 %.1f, max %.1f; %d sent twice",
		res.Arrived, res.Alarms, s.Unit.ID, res.Latency.P50, res.Latency.P90, res.Latency.P99, res.Latency.Max, res.Twice)
	if err := result(cmd, res, text); err != nil {
		return err
	}
	if res.Arrived < res.Alarms {
		return lossError{fmt.Errorf("%d tickets did not arrive", res.Alarms-res.Arrived)}
	}
	return nil
}
