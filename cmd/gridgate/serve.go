package main

import (
	"context"
	"fmt"
	"os"
	"sync"

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
			g := gateway.New(cfg, cfg.Log.Logger(a.errOut))
			return a.serve(cmd.Context(), g, cfg)
		},
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
