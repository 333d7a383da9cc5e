package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/gateway"
)

func (a *app) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup <folder>", Short: "Write a consistent backup while the gateway runs", Args: args(cobra.ExactArgs(1)),
		Long: "Write a consistent backup of state, accounts, audit, evidence and journal into a new folder of\n" +
			"the gateway's own machine, with a manifest: the SHA-256 of every file, the ledger, the tickets.\n" +
			"Sealed journal segments and photos are linked where the file system allows. What is not in it:\n" +
			"the key file (secret.key), tokens, and InfluxDB's own data.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			dir, err := filepath.Abs(argv[0])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Backup(cmd.Context(), dir); err != nil {
				return err
			}
			return a.show(map[string]string{"folder": dir}, func() {
				a.say("backup is in %s; prove it with: gridgate backup verify %s", dir, dir)
			})
		},
	}
	cmd.AddCommand(a.backupVerifyCommand())
	return cmd
}

func (a *app) backupVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify <folder>", Short: "Prove that a backup is whole: every file, every frame, every row", Args: args(cobra.ExactArgs(1)),
		Long: "Read a backup whole, without a gateway and without writing into it: every file against its\n" +
			"SHA-256, the ledger against every frame of the journal, tickets and registry against the sums of\n" +
			"their rows. Exit code 1 when anything is not as the manifest says.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			began := time.Now()
			p, err := gateway.VerifyBackup(cmd.Context(), argv[0], nil)
			if err != nil {
				return err
			}
			if err := a.show(p, func() { a.printProof(&p, "is whole", time.Since(began)) }); err != nil {
				return err
			}
			if len(p.Problems) > 0 {
				return errSaid
			}
			return nil
		},
	}
}

// printProof shows what a backup holds beside what its manifest says.
func (a *app) printProof(p *gateway.Proof, well string, took time.Duration) {
	m := &p.Manifest
	a.say("backup of %s, by gridgate %s, schema %d: %d files, %d bytes", m.Taken.Format(time.RFC3339), m.Program, m.Schema, p.Files, p.Bytes)
	var rows [][]string
	n := func(v any) string { return fmt.Sprint(v) }
	for i, l := range p.Recount.Lanes {
		rows = append(rows, []string{l.Lane, n(l.Accepted), n(l.Ended), n(l.Waiting)})
		if i < len(m.Lanes) {
			w := m.Lanes[i]
			rows = append(rows, []string{"  manifest", n(w.Accepted), n(w.Ended), n(w.Waiting)})
		}
	}
	a.table("not counted", []string{"LANE", "ACCEPTED", "ENDED", "WAITING"}, rows)
	a.say("ledger: %d processed, %d duplicate, %d ignored, %d quarantined, %d discarded", m.Ledger.Processed, m.Ledger.Duplicate, m.Ledger.Ignored, m.Ledger.Quarantined, m.Ledger.Discarded)
	a.say("tickets: %d, %d of them open; rows of %d tables have the manifest's sums", m.Tickets.All, m.Tickets.Open, p.Tables)
	for _, w := range p.Problems {
		a.say("WRONG: %s", w)
	}
	if len(p.Problems) == 0 {
		a.say("%s %s (%s)", p.Folder, well, took.Round(time.Millisecond))
	}
}

func (a *app) restoreCommand() *cobra.Command {
	var verify bool
	cmd := &cobra.Command{
		Use: "restore <folder>", Short: "Put a backup into the empty data folder of a gateway that does not run", Args: args(cobra.ExactArgs(1)),
		Long: "Put a backup into the data folder of the configuration (data_dir), which must be empty or not\n" +
			"there. What was copied is proven first: every file against its SHA-256, every frame against the\n" +
			"ledger, tickets and registry against the sums of their rows. A backup that is not whole is refused.\n" +
			"--verify prints the proof.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			began := time.Now()
			p, err := cfg.Restore(cmd.Context(), argv[0], cfg.Log.Logger(a.errOut))
			if err != nil {
				return err
			}
			return a.restored(cmd.Context(), &cfg, &p, verify, time.Since(began))
		},
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "print what was restored beside what the manifest says: ledger, tickets, recount")
	return cmd
}

// restored says what is done, and what the backup did not have: the file under which the
// secrets of devices are sealed.
func (a *app) restored(ctx context.Context, cfg *gateway.Config, p *gateway.Proof, verify bool, took time.Duration) error {
	said := map[string]any{"folder": cfg.DataDir, "proof": p}
	n, err := 0, error(nil)
	if schema, bad := cfg.Schema(ctx); bad == nil && schema.Pending == 0 { // an older one is read after its steps
		n, err = cfg.CheckCredentials(ctx, cfg.Log.Logger(a.errOut))
	}
	if err != nil {
		said["unreadable_credentials"], said["why"] = n, err.Error()
	}
	return a.show(said, func() {
		if verify {
			a.printProof(p, "is restored whole", took)
		}
		a.say("%s is restored from %s: start the gateway", cfg.DataDir, p.Folder)
		if err != nil {
			a.say("but first: %d keys and passwords of devices cannot be read, these devices would not come in: %v", n, err)
		}
	})
}
