package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
)

// show prints v as JSON with --json, else what text makes of it.
func (a *app) show(v any, text func()) error {
	if !a.json {
		text()
		return nil
	}
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// say prints one line.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }

// table prints rows under a head, or a sentence when there are none.
func (a *app) table(none string, head []string, rows [][]string) {
	if len(rows) == 0 {
		a.say("%s", none)
		return
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	w.Flush()
}

// listRows asks for rows of a list and shows them as a table, each as row makes it.
func listRows[T any](a *app, cmd *cobra.Command, list string, q api.Query, none string, head []string, row func(*T) []string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	page, err := api.List[T](cmd.Context(), c, list, q)
	if err != nil {
		return err
	}
	return a.show(page, func() {
		var rows [][]string
		for i := range page.Items {
			rows = append(rows, row(&page.Items[i]))
		}
		a.table(none, head, rows)
		a.more(page.Next)
	})
}

// more tells that a list was cut.
func (a *app) more(next string) {
	if next != "" {
		a.say("… and more: raise --limit")
	}
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func dash(s string) string { return first(s, "-") }

// ago reads "2h" or an RFC 3339 time; "" is the zero time.
func ago(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return time.Now().Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("time is %q: want 2h, or 2026-03-01T08:00:00Z", s)
	}
	return t, nil
}
