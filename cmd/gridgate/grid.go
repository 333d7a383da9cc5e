package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/gateway"
	"gridgate/internal/geo"
	"gridgate/internal/grid"
)

func (a *app) gridCommand() *cobra.Command {
	return group("grid", "Districts, streets, communities and cells; coordinate systems",
		a.gridImport(), a.gridList(), a.gridAt(), a.gridConvert(), a.gridDemo())
}

func (a *app) gridImport() *cobra.Command {
	var crs, mode, source, key string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "import <file>", Short: "Import areas from a GeoJSON file; \"-\" reads the input",
		Long: "Import districts, streets, communities or cells from a GeoJSON file. They take the place of\n" +
			"all of the same kind in the same district, all or nothing. --dry-run says what is wrong with\n" +
			"each feature, and which points would lie in another cell.",
		Example: `  gridgate grid import streets.geojson --crs WGS84 --dry-run
  gridgate grid import cells.geojson --crs CGCS2000 --source "survey of 2026"`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if _, err := geo.ParseCRS(crs); err != nil {
				return usage(cmd, err)
			}
			file, err := a.fileOrInput(argv[0])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			fmt.Fprintf(a.errOut, "%s: %d kB sent; the gateway checks each area against the others\n", argv[0], (len(file)+1023)/1024)
			done, err := c.PutAreas(cmd.Context(), file, crs, mode, source, dryRun, key)
			if err != nil {
				return err
			}
			if err := a.show(done, func() { a.printAreas(&done) }); err != nil {
				return err
			}
			for _, f := range done.Problems {
				if !f.Warning {
					return errSaid
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&crs, "crs", "", "coordinate `system` of the file: WGS84, CGCS2000, GCJ02 or BD09 (wanted)")
	f.BoolVar(&dryRun, "dry-run", false, "check, say what would change, and change nothing")
	f.StringVar(&mode, "mode", "", "`mode` of the areas: live (the default), test, exercise or simulated")
	f.StringVar(&source, "source", "", "`where` the file comes from; default: what its metadata say")
	f.StringVar(&key, "key", "", "idempotency `key`: the same again does nothing")
	return cmd
}

func (a *app) fileOrInput(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.in)
	}
	return os.ReadFile(name)
}

func (a *app) printAreas(done *api.AreaImport) {
	if len(done.Problems) > 0 {
		var rows [][]string
		for _, f := range done.Problems {
			what := "problem"
			if f.Warning {
				what = "warning"
			}
			n := "-"
			if f.Feature > 0 {
				n = fmt.Sprint(f.Feature)
			}
			rows = append(rows, []string{n, dash(f.Region), what, f.EN})
		}
		a.table("", []string{"FEATURE", "CODE", "", "WHAT"}, rows)
	}
	verb := "imported"
	if done.DryRun {
		verb = "dry run, nothing is changed"
	}
	a.say("%s: %d added, %d changed, %d removed, %d the same", verb, done.Added, done.Changed, done.Removed, done.Same)
	p := done.Points
	a.say("%d points with a position: %d lie in another area, %d stay where a person said, %d lie in no area and keep their cell", p.Checked, p.Moved, p.ByHand, p.Outside)
	if len(p.Some) > 0 {
		var rows [][]string
		for _, m := range p.Some {
			rows = append(rows, []string{m.Point, dash(m.From), dash(m.To), strings.ReplaceAll(m.Why, "_", " ")})
		}
		a.table("", []string{"POINT", "WAS IN", "LIES IN", ""}, rows)
	}
}

func (a *app) gridList() *cobra.Command {
	var q api.Query
	cmd := &cobra.Command{
		Use: "list", Short: "List areas by code", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listRows(a, cmd, "cells", q, "no areas: import some with \"gridgate grid import\"", []string{"CODE", "KIND", "NAME", "", "MODE"}, func(r *grid.Region) []string {
				marks := string(r.Mode)
				if r.Schematic {
					marks += ", schematic"
				}
				if r.Synthetic {
					marks += ", synthetic"
				}
				return []string{r.Code, string(r.Kind), dash(r.Name), dash(r.NameEN), marks}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Kind, "kind", "cell", "`kind`: cell, community, street or district")
	f.StringVar(&q.Scope.Street, "street", "", "only of this `street`")
	f.StringVar(&q.Text, "text", "", "with this in the code or name")
	f.IntVar(&q.Limit, "limit", 100, "at most `n`")
	f.StringVar(&q.Cursor, "cursor", "", "the next of the page before")
	return cmd
}

// lonLat reads "121.4241,31.2206".
func lonLat(s string) (lon, lat float64, err error) {
	x, y, ok := strings.Cut(s, ",")
	if ok {
		lon, err = strconv.ParseFloat(strings.TrimSpace(x), 64)
		if err == nil {
			lat, err = strconv.ParseFloat(strings.TrimSpace(y), 64)
		}
	}
	if !ok || err != nil {
		return 0, 0, fmt.Errorf("position is %q: want <longitude>,<latitude>", s)
	}
	return lon, lat, nil
}

func (a *app) gridAt() *cobra.Command {
	var crs string
	cmd := &cobra.Command{
		Use: "at <lon>,<lat>", Short: "Say in which cell, street and district a position lies",
		Example: "  gridgate grid at 121.428738,31.218750 --crs GCJ02",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			lon, lat, err := lonLat(argv[0])
			if err == nil {
				_, _, _, err = geo.ToWGS84(lon, lat, crs)
			}
			if err != nil {
				return usage(cmd, err)
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			w, err := c.CellAt(cmd.Context(), lon, lat, crs)
			if err != nil {
				return err
			}
			return a.show(w, func() { a.printWhereabouts(&w) })
		},
	}
	cmd.Flags().StringVar(&crs, "crs", "", "coordinate `system`: WGS84, CGCS2000, GCJ02 or BD09 (wanted)")
	return cmd
}

func (a *app) printWhereabouts(w *api.Whereabouts) {
	name := func(code string) string {
		return strings.TrimSpace(code + " " + w.Names[code].ZH + " " + w.Names[code].EN)
	}
	a.say("WGS84     %.6f, %.6f", w.WGS84[0], w.WGS84[1])
	if w.Nearest != "" {
		a.say("outside   the nearest is %s, %.0f m away", name(w.Nearest), w.Away)
		return
	}
	for _, l := range [][2]string{{"cell", w.Cell}, {"community", w.Community}, {"street", w.Street}, {"lies in", w.LiesIn}, {"district", w.District}} {
		if l[1] != "" {
			a.say("%-9s %s", l[0], name(l[1]))
		}
	}
	if cmp.Or(w.Cell, w.Community, w.Street, w.District) == "" {
		a.say("no areas are known")
		return
	}
	a.say("border    %.1f m away", w.Border)
}

func (a *app) gridConvert() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "convert <lon>,<lat>...", Short: "Take positions from one coordinate system to another; asks no gateway",
		Example: "  gridgate grid convert --from WGS84 --to GCJ02 121.424100,31.220600",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			source, err := geo.ParseCRS(from)
			if err != nil {
				return usage(cmd, fmt.Errorf("--from: %w", err))
			}
			target, err := geo.ParseCRS(to)
			if err != nil {
				return usage(cmd, fmt.Errorf("--to: %w", err))
			}
			out := api.Converted{CRS: target}
			for _, s := range argv {
				lon, lat, err := lonLat(s)
				if err == nil {
					_, _, _, err = geo.ToWGS84(lon, lat, from)
				}
				if err != nil {
					return usage(cmd, err)
				}
				x, y := geo.Convert(source, target, lon, lat)
				out.Positions = append(out.Positions, [2]float64{x, y})
			}
			return a.show(out, func() {
				for _, p := range out.Positions {
					a.say("%.6f,%.6f", p[0], p[1])
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "the `system` they are in (wanted)")
	f.StringVar(&to, "to", "", "the `system` they are wanted in (wanted)")
	return cmd
}

func (a *app) gridDemo() *cobra.Command {
	var size float64
	var streets, crs, out string
	cmd := &cobra.Command{
		Use: "demo", Short: "Write a square demo grid as GeoJSON; asks no gateway",
		Long: "Lay squares over the streets of a GeoJSON file, or over the schematic district that is built\n" +
			"in, clip them to its outline and give each to the street with the largest share of it. The\n" +
			"codes are made up and the cells marked synthetic: it is no official unit grid.",
		Example: `  gridgate grid demo --size 500 --out cells.geojson
  gridgate grid demo --streets streets.geojson --crs WGS84 | gridgate grid import - --crs WGS84 --mode test`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := a.demoCells(cmd, streets, crs, size)
			if err != nil {
				return err
			}
			b, err := geo.GeoJSON(all)
			if err != nil {
				return err
			}
			if out == "" || out == "-" {
				_, err = a.out.Write(append(b, '\n'))
				return err
			}
			if err := os.WriteFile(out, b, 0o644); err != nil {
				return err
			}
			return a.show(map[string]any{"file": out, "areas": len(all)}, func() { a.say("%d areas in %s", len(all), out) })
		},
	}
	f := cmd.Flags()
	f.Float64Var(&size, "size", gateway.DemoSquares, "side of a square in `metres`")
	f.StringVar(&streets, "streets", "", "GeoJSON `file` with the streets (default: the schematic district, written too)")
	f.StringVar(&crs, "crs", "", "coordinate `system` of that file")
	f.StringVar(&out, "out", "", "write into this `file`, not to the screen")
	return cmd
}

// demoCells are the squares over the streets of a file, or the whole schematic district.
func (a *app) demoCells(cmd *cobra.Command, streets, crs string, size float64) ([]grid.Region, error) {
	if streets == "" {
		return gateway.DemoDistrict(size)
	}
	system, err := geo.ParseCRS(crs)
	if err != nil {
		return nil, usage(cmd, err)
	}
	file, err := a.fileOrInput(streets)
	if err != nil {
		return nil, err
	}
	of, faults, err := geo.ReadGeoJSON(bytes.TrimSpace(file), geo.Source{CRS: system})
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, f := range faults {
		wrong = append(wrong, fmt.Errorf("feature %d %s: %s", f.Feature, f.Region, f.EN))
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s: %w", streets, errors.Join(wrong...))
	}
	whole, err := geo.Union(of)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", streets, err)
	}
	return geo.Squares(whole, size, of)
}

// checkAreas warns of a gateway that knows no areas: its points get no cell.
func (r *report) checkAreas(ctx context.Context, c *api.Client) error {
	tree, err := c.Scopes(ctx)
	if grid.CodeOf(err) == grid.NotFound {
		return nil // an older gateway
	}
	if err != nil {
		return err
	}
	cells := 0
	for _, d := range tree {
		cells += d.Cells
		if d.Schematic {
			r.Warnings = append(r.Warnings, fmt.Sprintf("areas of district %s are schematic: for a demo, and no more", d.Code))
		}
	}
	switch {
	case len(tree) == 0:
		r.Warnings = append(r.Warnings, "no areas are known, points get no cell: import streets and cells with \"gridgate grid import\"")
	case cells == 0:
		r.Warnings = append(r.Warnings, "no cells are known: import them with \"gridgate grid import\"")
	}
	return nil
}
