package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/audit"
	"gridgate/internal/grid"
)

func (a *app) auditCommand() *cobra.Command {
	return group("audit", "Read, check and export who did what", a.auditListCommand(), a.auditShowCommand(), a.auditVerifyCommand(), a.auditExportCommand())
}

// auditFlags are what the log is asked by.
type auditFlags struct {
	q             audit.Query
	since, until  string
	role, outcome string
}

func (f *auditFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.q.Who, "who", "", "`user`, unit or token")
	fs.StringVar(&f.role, "role", "", "acting as this `role`")
	fs.StringVar(&f.q.Act, "act", "", "`id` of the operation, such as move-ticket; session.* is all that begins so")
	fs.StringVar(&f.q.Object, "object", "", "`part` of what it was done to")
	fs.StringVar(&f.q.From, "from", "", "network `address`")
	fs.StringVar(&f.outcome, "outcome", "", "`how` it ended: done, refused or failed")
	fs.StringVar(&f.since, "since", "", "from this `time` or day on; 24h is so long ago")
	fs.StringVar(&f.until, "until", "", "until this `time` or day")
}

func (f *auditFlags) query(cmd *cobra.Command) (q audit.Query, err error) {
	q = f.q
	q.Role, q.Outcome = grid.Role(f.role), audit.Outcome(f.outcome)
	if q.Since, err = dayOr(f.since); err == nil {
		q.Until, err = dayOr(f.until)
	}
	if err != nil {
		return q, usage(cmd, err)
	}
	return q, nil
}

func (a *app) auditListCommand() *cobra.Command {
	var f auditFlags
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List who did what, newest first", Args: args(cobra.NoArgs),
		Example: "  gridgate audit list --since 24h\n  gridgate audit list --who li --outcome refused\n  gridgate audit list --act 'session.*' --from 192.0.2.7",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := f.query(cmd)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			page := audit.Page{Items: []audit.Line{}}
			for len(page.Items) < limit {
				q.Limit, q.Cursor = min(limit-len(page.Items), 1000), page.Next
				part, err := c.Audited(cmd.Context(), q)
				if err != nil {
					return err
				}
				page.Items, page.Next = append(page.Items, part.Items...), part.Next
				if page.Next == "" {
					break
				}
			}
			return a.show(page, func() {
				var rows [][]string
				for _, l := range page.Items {
					rows = append(rows, []string{strconv.FormatUint(l.N, 10), clock(l.At), dash(l.Who), string(l.Role), dash(l.From), l.Act, dash(l.Object), strings.TrimSuffix(string(l.Outcome)+" "+l.Code, " ")})
				}
				a.table("nothing of that kind", []string{"LINE", "AT", "WHO", "ROLE", "FROM", "ACT", "OBJECT", "OUTCOME"}, rows)
				a.more(page.Next)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "at most `so many`")
	return cmd
}

func (a *app) auditShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show <line>", Short: "Show one line with what was before and after", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			n, err := strconv.ParseUint(argv[0], 10, 64)
			if err != nil || n == 0 {
				return usage(cmd, grid.Errorf(grid.Invalid, "line is %q: want its number, see gridgate audit list", argv[0]))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.Audited(cmd.Context(), audit.Query{Cursor: strconv.FormatUint(n+1, 10), Limit: 1})
			if err != nil {
				return err
			}
			if len(page.Items) == 0 || page.Items[0].N != n {
				return grid.Errorf(grid.NotFound, "line %d is not in the log", n)
			}
			return a.show(page.Items[0], func() { a.printEntry(&page.Items[0]) })
		},
	}
}

func (a *app) printEntry(l *audit.Line) {
	for _, f := range [][2]string{
		{"line", strconv.FormatUint(l.N, 10)}, {"at", clock(l.At)}, {"who", l.Who}, {"role", string(l.Role)}, {"unit", l.Unit}, {"session", l.Session}, {"from", l.From},
		{"act", l.Act}, {"object", l.Object}, {"why", l.Why}, {"outcome", string(l.Outcome)}, {"code", l.Code}, {"hash", l.Hash}, {"before it", l.Prev},
	} {
		if f[1] != "" {
			a.say("%-10s %s", f[0], f[1])
		}
	}
	for _, f := range []struct {
		name  string
		value json.RawMessage
	}{{"asked", l.Asked}, {"before", l.Before}, {"after", l.After}} {
		var b bytes.Buffer
		if len(f.value) > 0 && json.Indent(&b, f.value, "", "  ") == nil {
			a.say("%s\n%s", f.name, b.String())
		}
	}
}

func (a *app) auditVerifyCommand() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use: "verify", Short: "Read the whole log and name the first line that is not what it was", Args: args(cobra.NoArgs),
		Long: "Read every line: its hash, that it follows on the one before, that the end is the sealed head,\n" +
			"and that it is what the anchors in the state say. --offline reads the data folder itself,\n" +
			"whether a gateway runs or not.\n\nExit codes: 0 whole, 1 not, 3 no gateway answers.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.verifyAudit(cmd, offline)
			if err != nil {
				return err
			}
			if err := a.show(r, func() { a.printVerified(&r) }); err != nil {
				return err
			}
			if !r.OK {
				return errSaid
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "do not ask a gateway, read the files")
	return cmd
}

func (a *app) verifyAudit(cmd *cobra.Command, offline bool) (audit.Report, error) {
	if offline {
		cfg, err := a.loadConfig()
		if err != nil {
			return audit.Report{}, err
		}
		return cfg.VerifyAudit(cmd.Context(), slog.New(slog.DiscardHandler))
	}
	c, err := a.client()
	if err != nil {
		return audit.Report{}, err
	}
	return c.VerifyAudit(cmd.Context())
}

func (a *app) printVerified(r *audit.Report) {
	a.say("lines %d to %d, %s to %s, in %d segments; %d anchors", r.First, r.Last, clock(r.Since), clock(r.Until), r.Segments, r.Anchors)
	if r.Removed > 0 {
		a.say("lines 1 to %d went by age", r.Removed)
	}
	for _, n := range r.Notices {
		a.say("note: %s", n)
	}
	for _, p := range r.Problems {
		a.say("WRONG %s", p)
	}
	if r.More > 0 {
		a.say("… and %d more", r.More)
	}
	if r.OK {
		a.say("whole. To hold it against later, keep: line %d %s", r.Head.N, r.Head.Hash)
	}
}

func (a *app) auditExportCommand() *cobra.Command {
	var f auditFlags
	var format, lang, path string
	cmd := &cobra.Command{
		Use: "export", Short: "Write the log, or part of it, into a file, oldest first", Args: args(cobra.NoArgs),
		Example: "  gridgate audit export -o audit.jsonl\n  gridgate audit export --format csv --lang en --since 2026-10-01 --until 2026-11-01 -o october.csv",
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := f.query(cmd)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			b, err := c.ExportAudit(cmd.Context(), q, format, lang)
			if err != nil {
				return err
			}
			if path == "-" {
				_, err := a.out.Write(b)
				return err
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				return err
			}
			return a.show(map[string]any{"file": path, "bytes": len(b)}, func() { a.say("the log is in %s", path) })
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&format, "format", "jsonl", "jsonl, byte for byte as it stands there, or csv")
	cmd.Flags().StringVar(&lang, "lang", "zh", "of the columns of csv: zh or en")
	cmd.Flags().StringVarP(&path, "output", "o", "-", "into this `file`; - is standard output")
	return cmd
}
