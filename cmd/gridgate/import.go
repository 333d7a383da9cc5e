package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// Sheets: CSV and XLSX, in and out.

// isSheet tells a sheet from a registry file by the content, and by the name where that says nothing.
func isSheet(name string, b []byte) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv", ".tsv", ".xlsx", ".xls":
		return true
	case ".yaml", ".yml", ".json":
		return false
	}
	head := b[:min(len(b), 4096)]
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return true
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return bytes.ContainsAny(line, ",;\t") && !bytes.ContainsAny(line, "{[") && !bytes.Contains(line, []byte(": "))
}

type sheetFlags struct {
	dryRun, skipBad bool
	kind, lang      string
	rows            bool
}

func (a *app) importSheet(ctx context.Context, c *api.Client, name string, b []byte, f sheetFlags) error {
	m, err := c.AddImport(ctx, b, grid.Import{Name: filepath.Base(name), Kind: grid.ImportKind(f.kind), DryRun: f.dryRun, SkipBad: f.skipBad}, "")
	if err != nil {
		return err
	}
	if m, err = a.watchImport(ctx, c, m); err != nil {
		return err
	}
	var rows []grid.ImportRow
	if f.rows {
		if rows, err = allRows(ctx, c, m.ID); err != nil {
			return err
		}
	}
	err = a.show(struct {
		api.ImportView
		Results []grid.ImportRow `json:"results,omitempty"`
	}{m, rows}, func() { a.sayImport(m, rows, f.lang) })
	if err == nil && (m.State == grid.ImportFailed || m.State == grid.ImportChecked && !f.dryRun) {
		err = grid.Errorf(grid.Invalid, "%s", cmp.Or(m.Error, "the sheet was not applied"))
	}
	return err
}

func allRows(ctx context.Context, c *api.Client, id string) (rows []grid.ImportRow, err error) {
	for cursor := ""; ; {
		page, err := c.ImportRows(ctx, id, "", cursor, 1000)
		if err != nil {
			return nil, err
		}
		rows = append(rows, page.Items...)
		if cursor = page.Next; cursor == "" {
			return rows, nil
		}
	}
}

// watchImport waits until the gateway is done with it, and shows how far it is on a terminal.
func (a *app) watchImport(ctx context.Context, c *api.Client, m api.ImportView) (api.ImportView, error) {
	terminal := a.onTerminal()
	const pause = 300 * time.Millisecond
	for m.State.Busy() {
		if terminal {
			fmt.Fprintf(os.Stderr, "\r%s\x1b[K", progress(&m.Import))
		}
		select {
		case <-ctx.Done():
			return m, errors.Join(ctx.Err(), fmt.Errorf("import %s goes on without us: gridgate device import show %s", m.ID, m.ID))
		case <-time.After(pause):
		}
		next, err := c.ImportOf(ctx, m.ID)
		if err != nil {
			return m, err
		}
		m = next
	}
	if terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	return m, nil
}

func (a *app) onTerminal() bool {
	f, err := os.Stderr.Stat()
	return err == nil && f.Mode()&os.ModeCharDevice != 0 && !a.json
}

const barWidth = 30

func progress(m *grid.Import) string {
	if m.State != grid.ImportApplying || m.Rows == 0 {
		return fmt.Sprintf("%s: %d rows", m.State, m.Rows)
	}
	done := min(m.Done-1, m.Rows)
	n := barWidth * done / m.Rows
	return fmt.Sprintf("applying [%s%s] %d of %d rows", strings.Repeat("█", n), strings.Repeat("·", barWidth-n), done, m.Rows)
}

func (a *app) sayImport(m api.ImportView, rows []grid.ImportRow, lang string) {
	said := map[grid.ImportState]string{
		grid.ImportChecked: "checked, nothing was changed", grid.ImportApplied: "applied", grid.ImportUndone: "undone", grid.ImportFailed: "failed",
	}[m.State]
	if m.State == grid.ImportApplied && m.Added+m.Changed == 0 {
		said = "nothing was to be changed"
	}
	a.say("import %s: %s; %d rows: %d added, %d changed, %d same, %d bad", m.ID, cmp.Or(said, string(m.State)), m.Rows, m.Added, m.Changed, m.Same, m.Bad)
	if m.Kept > 0 {
		a.say("%d were left as they are", m.Kept)
	}
	if rows != nil {
		var out [][]string
		for _, r := range rows {
			out = append(out, []string{fmt.Sprint(r.Row), r.Result, r.What, dash(strings.Join(r.Fields, ", "))})
		}
		a.table("no rows", []string{"ROW", "RESULT", "WHAT", "CHANGED"}, out)
	}
	var out [][]string
	for _, p := range m.Problems {
		words := p.Problem.EN
		if lang == "zh" {
			words = p.Problem.ZH
		}
		out = append(out, []string{fmt.Sprint(p.Row), dash(p.Column), dash(p.Value), words})
	}
	if len(out) > 0 {
		a.table("", []string{"ROW", "COLUMN", "VALUE", "PROBLEM"}, out)
	}
	if m.Bad > len(m.Problems) || m.Kept > len(m.Problems) {
		a.say("… and more: gridgate device import problems %s", m.ID)
	}
	if m.Error != "" && m.State != grid.ImportFailed {
		a.say("%s", m.Error)
	}
	if m.State == grid.ImportChecked && m.Good > 0 {
		a.say("to apply it: gridgate device import apply %s", m.ID)
	}
}

// importCommands are what is done with a sheet beside handing it in.
func (a *app) importCommands() []*cobra.Command {
	return []*cobra.Command{a.importList(), a.importShow(), a.importProblems(), a.importApply(), a.importUndo(), a.importTemplate()}
}

func (a *app) importList() *cobra.Command {
	var q api.Query
	cmd := &cobra.Command{
		Use: "list", Short: "List sheets that were handed in, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listRows(a, cmd, "imports", q, "no imports", []string{"IMPORT", "AT", "FILE", "STATE", "ROWS", "ADDED", "CHANGED", "SAME", "BAD"}, func(m *grid.Import) []string {
				return []string{m.ID, clock(m.At), dash(m.Name), string(m.State), fmt.Sprint(m.Rows), fmt.Sprint(m.Added), fmt.Sprint(m.Changed), fmt.Sprint(m.Same), fmt.Sprint(m.Bad)}
			})
		},
	}
	cmd.Flags().IntVar(&q.Limit, "limit", 20, "at most `n`")
	return cmd
}

// importStep is a command on one import.
func (a *app) importStep(use, short string, flags func(*cobra.Command), do func(ctx context.Context, c *api.Client, id string) (api.ImportView, error)) *cobra.Command {
	lang := "en"
	cmd := &cobra.Command{
		Use: use + " <import>", Short: short, Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			m, err := do(cmd.Context(), c, argv[0])
			if err == nil {
				m, err = a.watchImport(cmd.Context(), c, m)
			}
			if err != nil {
				return err
			}
			return a.show(m, func() { a.sayImport(m, nil, lang) })
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "en", "language of the problems: zh or en")
	if flags != nil {
		flags(cmd)
	}
	return cmd
}

func (a *app) importShow() *cobra.Command {
	return a.importStep("show", "Show an import, and wait until the gateway is done with it", nil, func(ctx context.Context, c *api.Client, id string) (api.ImportView, error) {
		return c.ImportOf(ctx, id)
	})
}

func (a *app) importApply() *cobra.Command {
	var skipBad bool
	return a.importStep("apply", "Apply a sheet that was checked", func(cmd *cobra.Command) {
		cmd.Flags().BoolVar(&skipBad, "skip-bad", false, "apply the good rows though there are bad ones")
	}, func(ctx context.Context, c *api.Client, id string) (api.ImportView, error) {
		return c.ApplyImport(ctx, id, skipBad)
	})
}

func (a *app) importUndo() *cobra.Command {
	return a.importStep("undo", "Put back what an import has changed, except what was changed or heard since", nil, func(ctx context.Context, c *api.Client, id string) (api.ImportView, error) {
		return c.UndoImport(ctx, id)
	})
}

func (a *app) importProblems() *cobra.Command {
	lang := "zh"
	var out string
	cmd := &cobra.Command{
		Use: "problems <import>", Short: "Write all problems of an import as CSV", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			return a.writeSheet(cmd.Context(), "imports/"+url.PathEscape(argv[0])+"/problems.csv", url.Values{"lang": {lang}}, out)
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "zh", "zh or en")
	cmd.Flags().StringVarP(&out, "output", "o", "-", "the `file` to write (\"-\": standard output)")
	return cmd
}

func (a *app) importTemplate() *cobra.Command {
	var lang, kind, out string
	cmd := &cobra.Command{
		Use: "template", Short: "Write an empty sheet with headers, an example row and hints", Args: args(cobra.NoArgs),
		Example: "  gridgate device import template --lang zh -o 安装表.xlsx",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.writeSheet(cmd.Context(), "imports/template."+formatOf(out), url.Values{"lang": {lang}, "kind": {kind}}, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&lang, "lang", "zh", "language of the headers: zh or en")
	f.StringVar(&kind, "kind", "auto", "points, devices, installations, buildings, or auto: all of a device in one row")
	f.StringVarP(&out, "output", "o", "-", "the `file` to write, .csv or .xlsx (\"-\": CSV on standard output)")
	return cmd
}

func (a *app) deviceExport() *cobra.Command {
	var lang, out string
	var scope grid.Scope
	cmd := &cobra.Command{
		Use: "export <points|devices|installations|buildings>", Short: "Write what is registered as a sheet that can be imported again", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			q := url.Values{"lang": {lang}}
			for k, v := range map[string]string{"district": scope.District, "street": scope.Street, "community": scope.Community, "compound": scope.Compound} {
				if v != "" {
					q.Set(k, v)
				}
			}
			return a.writeSheet(cmd.Context(), "exports/"+url.PathEscape(argv[0])+"."+formatOf(out), q, out)
		},
	}
	f := cmd.Flags()
	f.StringVar(&lang, "lang", "zh", "language of the headers: zh or en")
	f.StringVarP(&out, "output", "o", "-", "the `file` to write, .csv or .xlsx (\"-\": CSV on standard output)")
	f.StringVar(&scope.District, "district", "", "only of this district `code`")
	f.StringVar(&scope.Street, "street", "", "only of this street `code`")
	f.StringVar(&scope.Community, "community", "", "only of this community `code`")
	f.StringVar(&scope.Compound, "compound", "", "only of this `compound`")
	return cmd
}

func formatOf(name string) string {
	if strings.EqualFold(filepath.Ext(name), ".xlsx") {
		return "xlsx"
	}
	return "csv"
}

// writeSheet writes a sheet of the gateway's into a file, whole or not at all.
func (a *app) writeSheet(ctx context.Context, what string, q url.Values, name string) (err error) {
	c, err := a.client()
	if err != nil {
		return err
	}
	if name == "-" {
		return c.Sheet(ctx, what, q, a.out)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".gridgate-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is none
	err = c.Sheet(ctx, what, q, io.Writer(f))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
