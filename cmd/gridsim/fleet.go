package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gridgate/simulator"
)

type restoreFunc = func(ctx context.Context, point, by string) error

func fleetCommand() *cobra.Command {
	var c common
	var f fleetFlags
	var g cityFlags
	var control string
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "virtual devices of real models, over every wire",
		Long: `fleet publishes what a fleet of real device models would, each encoded by its maker's
layout, LoRaWAN ones in ChirpStack v4 events, Zigbee ones as Zigbee2MQTT writes them. It
publishes with QoS 1 and sends again, after a reconnect, what is not acknowledged.

With --mix, --wire, --devices, --day or --gateway it plays a city: any mix of models on any
wire, up to a million devices and more, that live by simulator/city.yaml: daily curves, rain,
cooking, batteries, radio. The same seed is the same day, at any --speed.`,
		Example: `  gridsim fleet --registry fleet.yaml --dry-run
  gridsim fleet --broker mqtt://127.0.0.1:1883 --scenario mixed --size 200 --rate 2000 --count 50000 --print-sent sent.jsonl
  gridsim fleet --scenario parking-flood --size 1000 --rate 5000 --for 60s
  gridsim fleet --mix city --devices 100000 --day 2026-03-03 --speed 60
  gridsim fleet --mix oma/smoke=20,gbt26875/transmitter=64 --config wires.yaml --registry fleet.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if g.wanted() {
				return playCity(cmd, &c, &f, &g, f.play.Speed)
			}
			fleet, err := f.fleet(c.seed)
			if err != nil {
				return err
			}
			if done, err := c.write(fleet.Registry(f.interval)); done || err != nil {
				return err
			}
			p, err := newPlayed(cmd, &c, &f, fleet)
			if err != nil {
				return err
			}
			return p.run(cmd, c.length, control, nil)
		},
	}
	c.brokerFlags(cmd)
	c.worldFlags(cmd)
	f.add(cmd)
	g.add(cmd)
	cmd.Flags().StringVar(&control, "control", "", "listen here for units of another process that put points right, for example 127.0.0.1:9200")
	return cmd
}

// played is a fleet being played over MQTT.
type played struct {
	player *simulator.Player
	pub    *simulator.Publisher
	sent   *sentLog
}

// Summary is what a fleet has sent.
type Summary struct {
	Frames  uint64  `json:"frames"`
	Acked   uint64  `json:"acked"`
	Resent  uint64  `json:"resent"`
	Seconds float64 `json:"seconds"`
}

func newPlayed(cmd *cobra.Command, c *common, f *fleetFlags, fleet *simulator.Fleet) (*played, error) {
	sent, err := openSentLog(f.printSent)
	if err != nil {
		return nil, err
	}
	say := notes(cmd)
	link := func(err error) {
		text := "connected to the broker / 已连接"
		if err != nil {
			text = fmt.Sprintf("broker is not there: %v", err)
		}
		say(simulator.Note{At: time.Now(), Who: "link", What: "link", Text: text})
	}
	pub := simulator.NewPublisher(c.broker, orDefault(f.client, fmt.Sprintf("gridsim-%d", c.seed)), f.window, sent.add, onChange(link))
	return &played{&simulator.Player{Fleet: fleet, Play: f.play, Sink: pub, Notes: say}, pub, sent}, nil
}

// onChange passes on a state of the link only when it differs from the last.
func onChange(f func(error)) func(error) {
	var last string
	return func(err error) {
		if now := fmt.Sprint(err); now != last {
			last = now
			f(err)
		}
	}
}

// run plays until the end, beside, if not nil, the other half of a simulation. It
// returns after everything published has been acknowledged, or half a minute after the
// end at the latest.
func (p *played) run(cmd *cobra.Command, length time.Duration, control string, beside func(context.Context) error) error {
	began := time.Now()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	if length > 0 {
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	playing, stopPlaying := context.WithCancel(ctx)
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx)) // outlives the play: acknowledgements
	defer unlink()
	var wg sync.WaitGroup
	errs := make(chan error, 3)
	start := func(ctx context.Context, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				errs <- err
				stopPlaying()
				unlink() // nothing more is going to be acknowledged
			}
		})
	}
	start(linked, p.pub.Run)
	if beside != nil {
		start(playing, beside)
	}
	if control != "" {
		start(playing, func(ctx context.Context) error { return serve(ctx, control, p.player.Control()) })
	}
	err := p.player.Run(playing)
	if beside != nil && err == nil {
		<-playing.Done() // the units still work when all frames are sent
	}
	stopPlaying()
	drain, done := context.WithTimeout(linked, 30*time.Second)
	defer done()
	lost := p.pub.Drain(drain)
	unlink()
	wg.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	if err = errors.Join(err, p.sent.close()); err != nil {
		return err
	}
	return p.summary(cmd, time.Since(began), lost)
}

func (p *played) summary(cmd *cobra.Command, took time.Duration, lost error) error {
	s := Summary{Frames: p.player.Sent(), Acked: p.pub.Acked.Load(), Resent: p.pub.Resent.Load(), Seconds: took.Seconds()}
	text := fmt.Sprintf("%d frames, %d acknowledged, %d sent again, in %.1f s", s.Frames, s.Acked, s.Resent, s.Seconds)
	if err := result(cmd, s, text); err != nil {
		return err
	}
	if lost != nil {
		return lossError{lost}
	}
	return nil
}

// serve answers HTTP on addr until ctx is done.
func serve(ctx context.Context, addr string, h http.Handler) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { s.Close() })()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}
