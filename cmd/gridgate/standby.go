package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/gateway"
)

func (a *app) standbyCommand() *cobra.Command {
	f := &gateway.Follower{}
	var from, tokenFile, dir string
	var once bool
	cmd := &cobra.Command{
		Use: "standby", Short: "Follow a running gateway with a copy of all its data", Args: args(cobra.NoArgs),
		Long: "Copy everything of a running gateway and go on copying: journal, evidence and audit as they grow,\n" +
			"state and accounts as snapshots of which only changed blocks come. It may be stopped at any time and\n" +
			"goes on from what it has. `gridgate promote` makes the copy the gateway. The key files (secret.key,\n" +
			"audit.key) do not come: copy them once by hand.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			if f.From, err = a.follows(from, tokenFile); err != nil {
				return usage(cmd, err)
			}
			f.Dir, f.Log = first(dir, cfg.DataDir), cfg.Log.Logger(a.errOut)
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			var last error
			f.Told = func(d gateway.Followed) {
				a.tellFollowed(d)
				if once {
					if last = nil; d.Failing != "" {
						last = errors.New(d.Failing)
					}
					cancel()
				}
			}
			return errors.Join(f.Run(ctx), last)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`URL` of the API of the gateway to follow")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "`file` with a token for it (or --token, GRIDGATE_TOKEN)")
	cmd.Flags().StringVar(&dir, "dir", "", "`folder` of the copy (default: data_dir of the configuration)")
	cmd.Flags().DurationVar(&f.Every, "every", time.Second, "how often new frames are asked for")
	cmd.Flags().DurationVar(&f.SnapshotEvery, "state-every", 30*time.Second, "how often state and accounts are copied: what persons did since is lost with the other machine")
	cmd.Flags().BoolVar(&once, "once", false, "one round, then end")
	cmd.AddCommand(a.recoverCommand())
	return cmd
}

func (a *app) recoverCommand() *cobra.Command {
	return &cobra.Command{
		Use: "recover <folder>", Short: "Bring over what the old gateway had beyond the copy", Args: args(cobra.ExactArgs(1)),
		Long: "When the disk of the old gateway is back: bring over the frames that it had acknowledged and the copy\n" +
			"did not have, from its data folder to the gateway of the configuration or of --api, each once and with\n" +
			"the time at which it was received. It changes nothing in the folder, and may be run again. What persons\n" +
			"and units did there after the last copy of the state is in no journal: it is listed, to be done anew.",
		Example: "  gridgate standby recover /mnt/old/gridgate-data\n" +
			"  gridgate standby recover /var/lib/gridgate --api https://second:8443 --token $ADMIN   # on the old machine",
		RunE: func(cmd *cobra.Command, argv []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			r, err := cfg.Recover(cmd.Context(), c, argv[0], cfg.Log.Logger(a.errOut))
			if err != nil {
				return err
			}
			return a.show(r, func() { a.printRecovered(&r) })
		},
	}
}

func (a *app) printRecovered(r *gateway.Recovered) {
	for _, l := range r.Lanes {
		if l.Brought == 0 {
			a.say("%s: nothing to bring over, %d are here", l.Lane, l.After)
			continue
		}
		a.say("%s: %d frames brought over, received %s to %s; %d were here", l.Lane, l.Brought, l.First.Format(time.RFC3339), l.Last.Format(time.RFC3339), l.After)
	}
	switch {
	case r.Unread != "":
		a.say("what persons did there cannot be read: %s", r.Unread)
	case r.GivenUp == nil:
	case len(r.GivenUp.Deeds) > 0 || r.GivenUp.Registry > 0:
		a.say("NOT HERE, to be done anew: %d moves of persons and units, %d changes of the registry since the state of %s", len(r.GivenUp.Deeds), r.GivenUp.Registry, r.State.Format(time.RFC3339))
		for _, d := range r.GivenUp.Deeds {
			a.say("  %s %s %s by %s %s", d.At.Format(time.RFC3339), d.Ticket, d.Verb, d.By, d.Reason)
		}
	default:
		a.say("nobody had moved a ticket or changed the registry there since the state of %s", r.State.Format(time.RFC3339))
	}
}

// follows is the client for the gateway that is followed: never the one of the configuration.
func (a *app) follows(from, tokenFile string) (*api.Client, error) {
	c := &api.Client{URL: strings.TrimSuffix(from, "/"), Token: first(a.token, a.env("GRIDGATE_TOKEN"))}
	if c.URL == "" {
		return nil, errors.New("--from is empty: want the URL of a gateway")
	}
	if tokenFile != "" {
		b, err := os.ReadFile(tokenFile)
		if err != nil {
			return nil, err
		}
		c.Token = strings.TrimSpace(string(b))
	}
	return c, nil
}

func (a *app) tellFollowed(d gateway.Followed) {
	if a.json {
		if err := a.show(d, func() {}); err != nil {
			fmt.Fprintln(a.errOut, err)
		}
		return
	}
	if d.Failing != "" {
		a.say("behind since %s: %s", d.At.Format(time.RFC3339), d.Failing)
		return
	}
	a.say("%s: %d bytes of journal were not here, are now; state of %s", d.At.Format(time.RFC3339), d.Behind, d.State.Format(time.RFC3339))
}

func (a *app) promoteCommand() *cobra.Command {
	var from, tokenFile string
	cmd := &cobra.Command{
		Use: "promote", Short: "Make a standby's copy the gateway", Args: args(cobra.NoArgs),
		Long: "Make the copy in data_dir, which `gridgate standby` has written and no longer writes, the gateway:\n" +
			"the old one is told, if it answers, that it is none any more; the copy is recounted; its term and its\n" +
			"journal's epoch are raised, so that the old one stops when it hears of it (standby.peers). Then start\n" +
			"`gridgate serve`. Where the old machine may still run and cannot be reached, cut it off first.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			var old *api.Client
			if followed, err := gateway.ReadFollowed(cfg.DataDir); err == nil {
				from = first(from, followed.From)
			}
			if from != "" {
				if old, err = a.follows(from, tokenFile); err != nil {
					return usage(cmd, err)
				}
			}
			name, err := os.Hostname()
			if err != nil {
				name = "a standby"
			}
			p, err := cfg.Promote(cmd.Context(), old, name, cfg.Log.Logger(a.errOut))
			if err != nil {
				return err
			}
			return a.show(p, func() { a.printPromoted(&p) })
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`URL` of the old gateway's API (default: the one that was followed)")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "`file` with a token for it (or --token, GRIDGATE_TOKEN)")
	return cmd
}

func (a *app) printPromoted(p *gateway.Promoted) {
	for _, l := range p.Recount.Lanes {
		a.say("%s: %d accepted, %d ended, %d waiting", l.Lane, l.Accepted, l.Ended, l.Waiting)
	}
	a.say("tickets: %d, %d of them open; journal of %s, state of %s", p.Tickets, p.Open, p.Followed.At.Format(time.RFC3339), p.Followed.State.Format(time.RFC3339))
	if p.Fenced {
		a.say("the old gateway has stopped, and does not start again on its data")
	} else {
		a.say("THE OLD GATEWAY HAS NOT HEARD OF IT (%s): make sure that it does not run", first(p.Unheard, "its address is not known"))
	}
	a.say("%s is the gateway of term %d: gridgate serve", p.Folder, p.Term)
}
