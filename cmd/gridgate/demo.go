package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gridgate/configs"
	"gridgate/internal/api"
	"gridgate/internal/gateway"
	"gridgate/internal/grid"
)

const (
	simReady   = 10 * time.Second // for gridsim to say what is to be registered
	simStops   = 10 * time.Second // for it to end when told
	settles    = 10 * time.Second // for what came last to be counted
	ledgerTold = 10 * time.Second // how often the ledger is told while the demo runs
	demoBeat   = "4s"             // between two reports of a simulated device
)

func (a *app) demoCommand() *cobra.Command {
	d := &demo{app: a}
	cmd := &cobra.Command{
		Use: "demo", Short: "Run everything on this machine and tell what happens", Args: args(cobra.NoArgs),
		Long: "Run a gateway with its MQTT broker and a real InfluxDB, a small simulated fleet and simulated\n" +
			"units, all on loopback, and tell line by line what happens: frames in, a smoke alarm, its\n" +
			"ticket, the units' answers, the sensor back to normal, the ticket closed; then the ledger.\n\n" +
			"The clocks are shortened (configs/demo), and everything is registered as simulated. It goes\n" +
			"on until Ctrl-C. Exit code 0 only if the loop of a smoke alarm closed and the ledger balances.",
		RunE: func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.DurationVar(&d.length, "for", 0, "end by itself after this time (default: on Ctrl-C)")
	f.StringVar(&d.dir, "dir", ".demo", "`folder` for its data; what an earlier demo left there is removed")
	f.IntVar(&d.size, "size", 16, "devices in the fleet")
	return cmd
}

// demo is one run of the demo.
type demo struct {
	*app
	length time.Duration
	dir    string
	size   int

	story *story
}

// run starts the fleet, whose registry the gateway is then started with, and watches
// until the time is up.
func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.story = newStory(d.out)
	cfg, password, err := d.prepare()
	if err != nil {
		return err
	}
	sim, err := d.startSim(ctx, cfg, password)
	if err != nil {
		return err
	}
	defer sim.kill()
	logFile, err := os.Create(filepath.Join(d.dir, "gateway.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()

	g := gateway.New(cfg, slog.New(slog.NewTextHandler(logFile, nil)))
	// The gateway outlives the watching: its last frames are counted, then it is stopped.
	running, stopGateway := context.WithCancel(context.WithoutCancel(ctx))
	ran := make(chan error, 1)
	go func() { ran <- g.Run(running) }()
	defer func() { stopGateway() }()
	select {
	case <-g.Ready():
	case err := <-ran:
		return cmp.Or(err, errors.New("the gateway ended at once"))
	case <-ctx.Done():
		stopGateway()
		return <-ran
	}
	d.introduce(g, cfg, logFile.Name())
	c := &api.Client{URL: "http://" + g.APIAddr(), Token: g.Token()}
	ended := d.watch(ctx, c, ran)
	sim.stop()
	verdict := ended
	if ended == nil {
		verdict = d.conclude(context.WithoutCancel(ctx), c, g)
	}
	stopGateway()
	if ended == nil {
		verdict = errors.Join(verdict, <-ran)
	}
	return verdict
}

// prepare empties the demo's folder and makes the configuration: loopback, shortened
// clocks, webhooks to loopback allowed.
func (d *demo) prepare() (cfg gateway.Config, password string, err error) {
	data := filepath.Join(d.dir, "gridgate-demo")
	if err := os.RemoveAll(data); err != nil {
		return cfg, "", fmt.Errorf("demo: %w", err)
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return cfg, "", fmt.Errorf("demo: %w", err)
	}
	cfg = gateway.Default()
	cfg.DataDir = data
	cfg.Engine.CheckpointEvery = time.Second
	for _, addr := range []*string{&cfg.HTTP.Listen, &cfg.Broker.Listen, &cfg.Influx.Listen} {
		if *addr, err = freeAddr(*addr); err != nil {
			return cfg, "", fmt.Errorf("demo: %w", err)
		}
	}
	for name, path := range map[string]*string{"rules.yaml": &cfg.Rules, "tickets.yaml": &cfg.Tickets} {
		b, err := configs.FS.ReadFile("demo/" + name)
		if err != nil {
			return cfg, "", err
		}
		*path = filepath.Join(data, name)
		if err := os.WriteFile(*path, b, 0o600); err != nil {
			return cfg, "", fmt.Errorf("demo: %w", err)
		}
	}
	cfg.Registry = []string{filepath.Join(data, "registry.yaml")}
	cfg.Dispatch.AllowCIDRs = []string{"127.0.0.0/8"}
	cfg.DemoDistrict = true
	cfg.Simulation.Allowed = true
	password = rand.Text()
	cfg.Broker.Users = []gateway.BrokerUser{{Name: "demo", Password: password}}
	return cfg, password, cfg.Validate()
}

// freeAddr gives addr if it is free, else another port of the same host.
func freeAddr(addr string) (string, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		host, _, _ := net.SplitHostPort(addr)
		if ln, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", err
		}
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// sim is the simulator, a process of its own.
type sim struct {
	cmd  *exec.Cmd
	done chan struct{}
	once sync.Once
}

// startSim starts gridsim and waits until it has written what is to be registered. It
// looks for the broker until the gateway has opened it.
func (d *demo) startSim(ctx context.Context, cfg gateway.Config, password string) (*sim, error) {
	bin, err := findSim()
	if err != nil {
		return nil, err
	}
	registry := cfg.Registry[0]
	cmd := exec.Command(bin, "play", "--json", "--scenario", "demo", "--size", fmt.Sprint(d.size), "--beat", demoBeat,
		"--broker", "mqtt://"+cfg.Broker.Listen, "--user", cfg.Broker.Users[0].Name, "--registry", registry)
	cmd.Env = append(os.Environ(), "GRIDSIM_PASSWORD="+password)
	cmd.Stderr = d.errOut
	cmd.SysProcAttr = childAttr()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s := &sim{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go s.hold(started, func() { d.tellNotes(out) })
	if err := <-started; err != nil {
		return nil, fmt.Errorf("gridsim: %w", err)
	}
	wait, cancel := context.WithTimeout(ctx, simReady)
	defer cancel()
	for {
		if _, err := os.Stat(registry); err == nil {
			return s, nil
		}
		select {
		case <-s.done:
			return nil, errors.New("gridsim ended at once")
		case <-wait.Done():
			s.stop()
			return nil, fmt.Errorf("gridsim wrote no registry: %w", wait.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// holdPlain starts the child, reads its output, and waits for its end.
func (s *sim) holdPlain(started chan<- error, read func()) {
	defer close(s.done)
	err := s.cmd.Start()
	started <- err
	if err == nil {
		read()
		s.cmd.Wait() // how it ended shows in what it did
	}
}

// findSim looks beside gridgate, then on the PATH.
func findSim() (string, error) {
	if self, err := os.Executable(); err == nil {
		if bin, err := exec.LookPath(filepath.Join(filepath.Dir(self), "gridsim")); err == nil {
			return bin, nil
		}
	}
	bin, err := exec.LookPath("gridsim")
	if err != nil {
		return "", fmt.Errorf("gridsim is not beside gridgate and not on the PATH: run \"make build\": %w", err)
	}
	return bin, nil
}

// stop tells gridsim to end, which waits for its last acknowledgements, and waits for it.
func (s *sim) stop() {
	s.once.Do(func() {
		s.cmd.Process.Signal(os.Interrupt) // it has ended if this fails
		select {
		case <-s.done:
		case <-time.After(simStops):
			s.kill()
		}
	})
}

// kill ends it without waiting for anything; a no-op when it has ended.
func (s *sim) kill() {
	s.cmd.Process.Kill()
	<-s.done
}

// note is a line of gridsim's.
type note struct {
	Who, What, Text string
}

// tellNotes tells what gridsim says happens in its world.
func (d *demo) tellNotes(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var n note
		if json.Unmarshal(lines.Bytes(), &n) == nil && n.Text != "" && n.What != "link" {
			d.story.say(n.Who, "%s", n.Text)
		}
	}
}

func (d *demo) introduce(g *gateway.Gateway, cfg gateway.Config, log string) {
	d.say("")
	d.say("gridgate demo. Everything runs on this machine and is simulated; the clocks are shortened")
	d.say("(configs/demo: what takes minutes and hours in a district takes seconds here).")
	d.say("  API          http://%s/api/v1  (document: /openapi.json, token: %s)", g.APIAddr(), cfg.TokenPath())
	d.say("  InfluxDB     %s  (database gridgate)", g.InfluxURL())
	d.say("  MQTT broker  mqtt://%s", g.BrokerAddr())
	d.say("  log          %s", log)
	d.say("  ask it       GRIDGATE_API=http://%s GRIDGATE_TOKEN=$(cat %s) bin/gridgate ticket list", g.APIAddr(), cfg.TokenPath())
	d.say("")
}

// watch tells the story until ctx is done, the time is up, or the gateway ends (an error).
func (d *demo) watch(ctx context.Context, c *api.Client, ran <-chan error) error {
	if d.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.length)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if err := c.Stream(ctx, d.story.hear); err != nil && ctx.Err() == nil {
			d.story.say("demo", "the stream ended: %v", err)
		}
	})
	tick := time.NewTicker(ledgerTold)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ran:
			return fmt.Errorf("the gateway ended: %w", cmp.Or(err, errors.New("without a word")))
		case <-tick.C:
			if l, err := c.Ledger(ctx); err == nil {
				d.story.say("ledger", "%s", inOneLine(l))
			}
		}
	}
}

func inOneLine(l api.Ledger) string {
	var accepted, waiting, processed, duplicate, ignored, quarantined int64
	for _, lane := range l.Lanes {
		accepted, waiting = accepted+lane.Accepted, waiting+lane.Waiting
	}
	for _, r := range l.Rows {
		processed, duplicate, ignored, quarantined = processed+r.Processed, duplicate+r.Duplicate, ignored+r.Ignored, quarantined+r.Quarantined
	}
	return fmt.Sprintf("frames in: %d accepted = %d processed + %d duplicate + %d ignored + %d quarantined + %d waiting",
		accepted, processed, duplicate, ignored, quarantined, waiting)
}

// conclude waits until everything is counted, then tells the closed ticket's way, what
// InfluxDB has of it, the ledger, and whether all is as it must be.
func (d *demo) conclude(ctx context.Context, c *api.Client, g *gateway.Gateway) error {
	ctx, cancel := context.WithTimeout(ctx, settles+5*time.Second)
	defer cancel()
	l, waiting, err := settled(ctx, c)
	if err != nil {
		return err
	}
	closed, err := d.closedLoop(ctx, c)
	if err != nil {
		return err
	}
	d.say("")
	var wrong []error
	if closed == nil {
		wrong = append(wrong, errors.New("no smoke ticket was closed"))
	} else {
		d.tellWay(ctx, c, g, *closed)
	}
	d.say("")
	d.printLedger(l)
	if !l.Balanced {
		wrong = append(wrong, errors.New("the ledger does not balance"))
	}
	if waiting > 0 {
		wrong = append(wrong, fmt.Errorf("%d frames still wait after %s", waiting, settles))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("demo: %w", errors.Join(wrong...))
	}
	d.say("the loop closed: a smoke alarm, its ticket, the units' answers, the sensor normal again, the ticket closed")
	return nil
}

// tellWay tells a ticket's way and what InfluxDB has of it.
func (d *demo) tellWay(ctx context.Context, c *api.Client, g *gateway.Gateway, t grid.Ticket) {
	e, err := c.Explain(ctx, t.ID)
	if err != nil {
		d.say("the ticket cannot be explained: %v", err)
		return
	}
	d.say("The whole way of the smoke ticket (gridgate explain %s):", t.ID)
	d.printExplanation(e)
	d.say("")
	d.readBack(ctx, c, g, t)
}

// settled reads the ledger once nothing waits, or as it is when that takes too long.
func settled(ctx context.Context, c *api.Client) (l api.Ledger, waiting int64, err error) {
	deadline := time.Now().Add(settles)
	for {
		if l, err = c.Ledger(ctx); err != nil {
			return l, 0, err
		}
		waiting = 0
		for _, lane := range l.Lanes {
			waiting += lane.Waiting
		}
		if waiting == 0 || time.Now().After(deadline) {
			return l, waiting, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// closedLoop finds a smoke ticket that was delivered, answered, and closed by the rules.
func (d *demo) closedLoop(ctx context.Context, c *api.Client) (*grid.Ticket, error) {
	page, err := api.List[grid.Ticket](ctx, c, "tickets", api.Query{Type: string(grid.EventSmokeAlarm), State: string(grid.TicketClosed)})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	t := page.Items[len(page.Items)-1]
	sent, err := api.List[grid.Delivery](ctx, c, "deliveries", api.Query{Ticket: t.ID})
	if err != nil {
		return nil, err
	}
	for _, s := range sent.Items {
		if s.State == grid.DeliveryReceived || s.State == grid.DeliverySeen {
			return &t, nil
		}
	}
	return nil, nil
}

// readBack asks InfluxDB for what it stored of the smoke point.
func (d *demo) readBack(ctx context.Context, c *api.Client, g *gateway.Gateway, t grid.Ticket) {
	h, err := c.History(ctx, t.Point, grid.SmokeAlarm, t.Opened.Add(-time.Minute), time.Time{})
	if err != nil {
		d.say("InfluxDB could not be read back: %v", err)
		return
	}
	for _, s := range h.Samples {
		if s.Value != 0 {
			d.say("InfluxDB has %d values of smoke.alarm at %s; the alarm: %g at %s", len(h.Samples), t.Point, s.Value, s.At.Format(time.RFC3339Nano))
			d.say(`  curl -G %s/query --data-urlencode db=gridgate --data-urlencode "q=SELECT alarm FROM smoke WHERE point='%s'"`, g.InfluxURL(), t.Point)
			return
		}
	}
	d.say("InfluxDB has %d values of smoke.alarm at %s, and none of them is the alarm", len(h.Samples), t.Point)
}
