package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/grid"
	"gridgate/simulator"
)

// common holds the flags that several commands share.
type common struct {
	broker   simulator.Broker
	seed     uint64
	registry string
	dryRun   bool
	length   time.Duration
}

func (c *common) brokerFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.broker.URL, "broker", "mqtt://127.0.0.1:1883", "MQTT broker, mqtt:// or mqtts://")
	cmd.Flags().StringVar(&c.broker.User, "user", "", "user name at the broker")
	cmd.Flags().StringVar(&c.broker.Password, "password", os.Getenv("GRIDSIM_PASSWORD"), "password at the broker (default: $GRIDSIM_PASSWORD)")
	cmd.Flag("password").DefValue = ""
}

func (c *common) worldFlags(cmd *cobra.Command) {
	cmd.Flags().Uint64Var(&c.seed, "seed", 1, "the same seed makes the same world; unit secrets are random unless it is given")
	cmd.Flags().StringVar(&c.registry, "registry", "", "write what the gateway must know to this file (YAML)")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "write --registry and stop")
	cmd.Flags().DurationVar(&c.length, "for", 0, "stop after this time (default: on Ctrl-C)")
}

// write writes the registry if it is wanted; done says that nothing else is.
func (c *common) write(r simulator.Registry) (done bool, err error) {
	if c.registry == "" {
		if c.dryRun {
			return true, usageError{errors.New("--dry-run writes the registry: want --registry FILE")}
		}
		return false, nil
	}
	if err := r.WriteFile(c.registry); err != nil {
		return true, fmt.Errorf("registry: %w", err)
	}
	return c.dryRun, nil
}

// fleetFlags of fleet and run.
type fleetFlags struct {
	size      int
	from      int
	model     string
	play      simulator.Play
	scenario  string
	printSent string
	window    int
	interval  time.Duration
	client    string
}

func (f *fleetFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.IntVar(&f.size, "size", 16, "devices; the models take turns")
	fl.IntVar(&f.from, "from", 0, "number of the first device and point: fleets of different numbers share none")
	fl.StringVar(&f.model, "model", "", "only this model, for example milesight/ws301")
	fl.StringVar(&f.scenario, "scenario", "demo", "demo, mixed, parking-flood or smoke")
	fl.Float64Var(&f.play.Rate, "rate", 0, "frames a second (default: each device at its own interval)")
	fl.Float64Var(&f.play.Speed, "speed", 1, "without --rate: devices report this many times as often as shipped")
	fl.Uint64Var(&f.play.Count, "count", 0, "stop after so many frames")
	fl.DurationVar(&f.play.Beat, "beat", 10*time.Second, "demo: time between a device's reports")
	fl.DurationVar(&f.play.AutoBack, "auto-back", 0, "demo: what nobody attends to goes back to normal after this")
	fl.StringVar(&f.printSent, "print-sent", "", "write every acknowledged frame to this file (JSON lines)")
	fl.IntVar(&f.window, "window", 200, "frames in flight")
	fl.DurationVar(&f.interval, "interval", 0, "reporting interval to register (default: the profile's; demo: three beats)")
	fl.StringVar(&f.client, "client", "", "MQTT client id (default: from the seed)")
}

func (f *fleetFlags) fleet(seed uint64) (*simulator.Fleet, error) {
	f.play.Scenario = simulator.Scenario(f.scenario)
	var of []*simulator.Model
	want := f.model
	switch f.play.Scenario {
	case simulator.Demo, simulator.Mixed:
	case simulator.ParkingFlood:
		want = orDefault(want, "bosch/tps110")
	case simulator.SmokeOnly:
		want = orDefault(want, "netvox/ra02a")
	default:
		return nil, usageError{fmt.Errorf("scenario is %q: want demo, mixed, parking-flood or smoke", f.scenario)}
	}
	if f.play.Rate == 0 && want != "" && f.play.Scenario != simulator.Mixed && f.play.Scenario != simulator.Demo {
		return nil, usageError{fmt.Errorf("scenario %s needs a rate: want --rate N", f.scenario)}
	}
	if want != "" {
		m, err := simulator.ModelOf(want)
		if err != nil {
			return nil, usageError{err}
		}
		of = append(of, m)
	}
	if f.interval == 0 && f.play.Scenario == simulator.Demo {
		f.interval = 3 * f.play.Beat
	}
	return simulator.NewFleetFrom(f.from, f.size, seed, of...), nil
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// unitFlags of units and run.
type unitFlags struct {
	kinds      []string
	behaviours map[string]string
	port       int
	api        string
	delays     simulator.Delays
}

func (u *unitFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&u.kinds, "units", []string{"fire", "urban_management", "micro_fire_station", "property", "maintenance", "residents_committee"}, "kinds of unit to play, one of each")
	fl.StringToStringVar(&u.behaviours, "behaviour", nil, "by kind of unit: good, slow, deaf or flaky, for example fire=flaky")
	fl.IntVar(&u.port, "port", 0, "loopback port of the first unit, the others follow (default: any free ones)")
	fl.StringVar(&u.api, "api", "", "base URL of the gateway (default: the callback_url of each message)")
	fl.DurationVar(&u.delays.Accept, "accept-after", time.Second, "from a ticket's arrival to accepting it")
	fl.DurationVar(&u.delays.Arrive, "arrive-after", 2*time.Second, "from accepting to being on site")
	fl.DurationVar(&u.delays.Clear, "clear-after", 2*time.Second, "from arriving to putting the point right")
	fl.DurationVar(&u.delays.Resolve, "resolve-after", time.Second, "from that to reporting it done")
	fl.DurationVar(&u.delays.Confirm, "confirm-after", time.Second, "from that to the word of the people on site (P1)")
}

// open starts to listen. Secrets come from the seed only if it was given.
func (u *unitFlags) open(cmd *cobra.Command, seed uint64, restore restoreFunc, notes simulator.Notes) (*simulator.Units, error) {
	secretSeed := uint64(0)
	if cmd.Flags().Changed("seed") {
		secretSeed = seed
	}
	var kinds []grid.UnitKind
	for _, k := range u.kinds {
		kinds = append(kinds, grid.UnitKind(k))
	}
	units, err := simulator.NewUnits(kinds, secretSeed)
	if err != nil {
		return nil, usageError{err}
	}
	for kind, b := range u.behaviours {
		known := false
		for i := range units {
			if string(units[i].Kind) == kind {
				units[i].Behaviour, known = simulator.Behaviour(b), true
			}
		}
		if !known || !strings.Contains(" good slow deaf flaky ", " "+b+" ") {
			return nil, usageError{fmt.Errorf("behaviour is %s=%s: want a kind that is played and good, slow, deaf or flaky", kind, b)}
		}
	}
	return simulator.OpenUnits(simulator.UnitsConfig{Units: units, Port: u.port, API: u.api, Delays: u.delays, Seed: seed, Restore: restore, Notes: notes})
}

// sentLog writes acknowledged frames to a file. nil writes nothing.
type sentLog struct {
	mu  sync.Mutex
	f   *os.File
	buf *bufio.Writer
	err error
}

func openSentLog(path string) (*sentLog, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("print-sent: %w", err)
	}
	return &sentLog{f: f, buf: bufio.NewWriter(f)}, nil
}

func (l *sentLog) add(m simulator.Message) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = json.NewEncoder(l.buf).Encode(m)
	}
}

func (l *sentLog) close() error {
	if l == nil {
		return nil
	}
	return errors.Join(l.err, l.buf.Flush(), l.f.Close())
}
