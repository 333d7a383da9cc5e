package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/gateway"
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the gateway", Args: args(cobra.NoArgs),
		Long: "Run the gateway until it is told to stop (Ctrl-C, SIGTERM). Without --config it listens on\n" +
			"loopback and keeps its data in ./gridgate-data; configs/gridgate.yaml names every setting.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			log, err := cfg.Log.Open(a.errOut)
			if err != nil {
				return err
			}
			defer log.Close()
			g := gateway.New(cfg, log.Logger)
			g.Reloads(a.loadConfig, log.Level)
			ctx, cancel := context.WithCancel(cmd.Context())
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			wg.Go(func() { a.heed(ctx, g, log) })
			return a.serve(ctx, g, cfg)
		},
	}
}

// heed does what signals ask for: SIGHUP reads the configuration again, SIGUSR1 opens the
// log's file again.
func (a *app) heed(ctx context.Context, g *gateway.Gateway, log *gateway.Log) {
	if len(reloadSignals) == 0 {
		return
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, append(reloadSignals, reopenSignals...)...)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if slices.Contains(reopenSignals, s) {
				if err := log.Reopen(); err != nil {
					log.Error("the log's file cannot be opened again", "err", err)
				}
				continue
			}
			a.reloadNow(ctx, g, log)
		}
	}
}

// reloadNow tells systemd too. What comes of it stands in the log.
func (a *app) reloadNow(ctx context.Context, g *gateway.Gateway, log *gateway.Log) {
	select {
	case <-g.Ready():
	default:
		log.Warn("the gateway is still starting: it has read the configuration just now")
		return
	}
	a.notify("RELOADING=1")
	defer a.notify("READY=1")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, _ = g.Reload(ctx) // it has logged how it went
}

// watchdog tells systemd (WatchdogSec) that there is progress, for as long as there is.
func (a *app) watchdog(ctx context.Context, g *gateway.Gateway) {
	usec, err := strconv.ParseInt(a.env("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 {
		return
	}
	tick := time.NewTicker(time.Duration(usec) * time.Microsecond / 4)
	defer tick.Stop()
	for {
		if g.Alive() == nil {
			a.notify("WATCHDOG=1")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// serve runs g and says where it is once it takes frames.
func (a *app) serve(ctx context.Context, g *gateway.Gateway, cfg gateway.Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		select {
		case <-g.Ready():
			a.welcome(g, cfg)
			a.notify("READY=1")
			a.watchdog(ctx, g)
			<-ctx.Done()
			a.notify("STOPPING=1")
		case <-ctx.Done():
		}
	})
	return g.Run(ctx)
}

func (a *app) welcome(g *gateway.Gateway, cfg gateway.Config) {
	fmt.Fprintf(a.out, "gridgate %s, process %d, data in %s\n", gateway.Version, os.Getpid(), cfg.DataDir)
	for _, l := range []struct{ what, where string }{
		{"API", g.APIAddr()}, {"MQTT broker", g.BrokerAddr()}, {"InfluxDB", g.InfluxURL()},
	} {
		if l.where != "" {
			fmt.Fprintf(a.out, "  %-12s %s\n", l.what, l.where)
		}
	}
	if cfg.HTTP.Listen != "" {
		fmt.Fprintf(a.out, "  %-12s %s\n", "admin token", cfg.TokenPath())
		if first := g.FirstPassword(); first != "" { // once
			fmt.Fprintf(a.out, "  %-12s user admin, one-time password %s (also in %s until it is changed)\n", "sign on", first, cfg.FirstPasswordPath())
		}
	}
}
