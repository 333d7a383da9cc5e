package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/simulator/drive"
)

// serving is what `gridsim serve` was told.
type serving struct {
	drive.Config
	listen, day string
}

func serveCommand() *cobra.Command {
	s := &serving{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "a page to drive a demo by hand: pick a point, set it on fire, unplug the broker",
		Long: `serve starts a gateway of its own (or takes one that allows simulation), makes a city and its
units known to it, plays them, and serves a page on which a person lets things happen and
watches what comes of them. The page's address holds a random token: keep it to yourself.
Everything is registered as simulated; a gateway that does not report simulation.allowed is
refused. What the page does can be done by curl as well: docs/drive.md.`,
		Example: `  gridsim serve
  gridsim serve --devices 500 --speed 60 --listen 127.0.0.1:8090
  gridsim serve --gateway http://127.0.0.1:8080 --token $(cat token) --broker mqtt://127.0.0.1:1883 --user gridgate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:0", "the page's address")
	f.StringVar(&s.Gateway, "gateway", "", "address of a gateway that runs and allows simulation (default: one of our own)")
	f.StringVar(&s.Token, "token", os.Getenv("GRIDGATE_TOKEN"), "its administrator's token (default: $GRIDGATE_TOKEN)")
	cmd.Flag("token").DefValue = ""
	f.StringVar(&s.Broker.URL, "broker", "mqtt://127.0.0.1:1883", "its MQTT broker")
	f.StringVar(&s.Broker.User, "user", "", "user name at the broker")
	f.StringVar(&s.Broker.Password, "password", os.Getenv("GRIDSIM_PASSWORD"), "password at the broker (default: $GRIDSIM_PASSWORD)")
	cmd.Flag("password").DefValue = ""
	f.IntVar(&s.Devices, "devices", 200, "devices in all")
	f.StringVar(&s.Mix, "mix", "", "city, a YAML file of parts, or model=count,… (default: three houses for the demo, and a city around them)")
	f.BoolVar(&s.Quiet, "quiet", false, "nothing happens but what is done on the page")
	f.BoolVar(&s.Hold, "hold", false, "a fire burns until the page ends it: no unit puts it out")
	f.Float64Var(&s.Speed, "speed", 30, "of our own gateway: seconds of the city in one of yours, 1 to 3600")
	f.StringVar(&s.day, "day", "", "city time at the beginning, of our own gateway, for example 2026-12-31T20:00:00+08:00 (default: now)")
	f.Uint64Var(&s.Seed, "seed", 1, "the same seed makes the same city")
	f.StringVar(&s.Gridgate, "gridgate", "", "the gateway's program (default: beside gridsim, or on the PATH)")
	f.StringVar(&s.Influxd, "influxd", "", "InfluxDB's program (default: beside gridsim, or on the PATH)")
	f.StringVar(&s.Dir, "dir", "", "keep what our own gateway writes in this new folder")
	return cmd
}

func (s *serving) run(cmd *cobra.Command) error {
	if s.day != "" {
		at, err := time.Parse(time.RFC3339, s.day)
		if err != nil {
			return usageError{fmt.Errorf("day is %q: want 2026-12-31T20:00:00+08:00", s.day)}
		}
		s.Start = at
	}
	if s.Devices < 1 || s.Devices > 20_000 {
		return usageError{fmt.Errorf("devices is %d: want 1 to 20000, for more play gridsim fleet", s.Devices)}
	}
	d, err := drive.Open(cmd.Context(), s.Config)
	if err != nil {
		return err
	}
	defer d.Close()
	page, err := d.Listen(s.listen)
	if err != nil {
		return err
	}
	v := map[string]any{"page": page.URL(), "console": d.Console(), "token_file": d.TokenFile(), "devices": d.Len(), "speed": d.Speed(), "missing": d.Missing()}
	text := fmt.Sprintf("page      %s\nconsole   %s   token: %s\ncity      %d devices, %g times as fast", page.URL(), d.Console(), tokenHint(d.TokenFile()), d.Len(), d.Speed())
	if m := d.Missing(); len(m) > 0 {
		text += "\nwithout   " + strings.Join(m, ", ") + ": what needs them is shown as not possible"
	}
	if err := result(cmd, v, text); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- page.Run(ctx)
	}()
	err = d.Run(ctx)
	cancel()
	return errors.Join(err, <-served)
}

func tokenHint(file string) string {
	if file == "" {
		return "the gateway's own"
	}
	return "cat " + file
}
