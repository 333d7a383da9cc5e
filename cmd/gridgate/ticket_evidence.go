package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"gridgate/internal/grid"
)

func (a *app) ticketAttach() *cobra.Command {
	var shows, note string
	cmd := &cobra.Command{
		Use: "attach <ticket> <file>", Short: "Keep a photo or PDF with a ticket", Args: args(cobra.ExactArgs(2)),
		Long: "Keep a photo (JPEG, PNG, WebP, HEIC) or a PDF of at most 10 MiB with a ticket, under its SHA-256.\n" +
			"What it prints as evidence is for a move: gridgate ticket move <ticket> confirm --on-site --evidence file:<id>",
		RunE: func(cmd *cobra.Command, argv []string) error {
			file, err := os.ReadFile(argv[1])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			f, err := c.AddEvidence(cmd.Context(), argv[0], file, shows, note)
			if err != nil {
				return err
			}
			return a.show(f, func() {
				fmt.Fprintf(a.out, "kept: %s, %d bytes, sha256 %s\nevidence: %s%s\n", f.Type, f.Bytes, f.SHA256, grid.EvidencePrefix, f.ID)
			})
		},
	}
	cmd.Flags().StringVar(&shows, "shows", "", "what it shows: `near`, far, reference, before or after")
	cmd.Flags().StringVar(&note, "note", "", "a `word` on it")
	return cmd
}

func (a *app) ticketFiles() *cobra.Command {
	var save string
	cmd := &cobra.Command{
		Use: "files <ticket>", Short: "List the photos and documents of a ticket, or save one", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if save != "" {
				b, err := c.EvidenceFile(cmd.Context(), save)
				if err != nil {
					return err
				}
				_, err = a.out.Write(b)
				return err
			}
			page, err := c.Evidence(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, f := range page.Items {
					rows = append(rows, []string{f.ID, clock(f.At), f.Type, fmt.Sprint(f.Bytes), dash(f.Shows), f.By.Name, f.Note})
				}
				a.table("no files", []string{"FILE", "AT", "TYPE", "BYTES", "SHOWS", "BY", "NOTE"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&save, "get", "", "write this `file` to standard output")
	return cmd
}
