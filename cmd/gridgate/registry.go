package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"gridgate/internal/api"
	"gridgate/internal/grid"
)

// Places and the life of devices: gridgate point, building, device replace|move|….

func (a *app) pointCommands() []*cobra.Command {
	return []*cobra.Command{a.pointAdd(), a.pointChange(), a.pointShow(), a.pointList(), a.pointNear(), a.pointRetire(), a.pointLog(), a.pointNote(), a.pointPhoto()}
}

func (a *app) deviceLife() []*cobra.Command {
	return []*cobra.Command{a.deviceReplace(), a.deviceMove(), a.deviceRevive(), a.deviceBar(), a.deviceLog(), a.deviceNote()}
}

// pointFlags are the fields of a point; only those that are given are said.
func pointFlags(cmd *cobra.Command, n *api.PointFields) func() {
	text := []struct {
		name, said string
		to         **string
	}{
		{"name", "what it is called", &n.Name}, {"building", "the `building`'s id, or a name", &n.Building}, {"floor", "", &n.Floor}, {"room", "", &n.Room},
		{"address", "the place in words", &n.Address}, {"cell", "15-digit `code` (default: by the position)", &n.Cell}, {"district", "6-digit `code`", &n.District},
		{"street", "9-digit `code`", &n.Street}, {"community", "12-digit `code`", &n.Community}, {"compound", "", &n.Compound},
		{"contractor", "the `unit` that maintains it", &n.Contractor}, {"component", "16-digit `code`", &n.Component}, {"site", "the `site`'s id", &n.Site},
		{"rules", "rule `set` (default: of its kind)", &n.Rules}, {"owner", "a unit's or an organisation's `id`", &n.Owner}, {"notes", "", &n.Notes},
	}
	f := cmd.Flags()
	values := make([]string, len(text))
	for i, t := range text {
		f.StringVar(&values[i], t.name, "", t.said)
	}
	var kind, mode, privacy string
	var lon, lat float64
	f.StringVar(&kind, "kind", "", "door, parking, manhole or smoke")
	f.StringVar(&mode, "mode", "", "live (default), test, exercise or simulated")
	f.StringVar(&privacy, "privacy", "", "public_space, shared_building or dwelling (default: by its kind)")
	f.Float64Var(&lon, "lon", 0, "longitude in `degrees`")
	f.Float64Var(&lat, "lat", 0, "latitude in `degrees`")
	f.StringVar(&n.CRS, "crs", "", "coordinate `system` of the position: WGS84, CGCS2000, GCJ-02 or BD-09")
	f.StringVar(&n.Reason, "reason", "", "why, for the history")
	return func() {
		for i, t := range text {
			if f.Changed(t.name) {
				*t.to = &values[i]
			}
		}
		n.Kind, n.Mode = grid.Kind(kind), grid.Mode(mode)
		if privacy != "" {
			p := grid.Privacy(privacy)
			n.Privacy = &p
		}
		if f.Changed("lon") || f.Changed("lat") {
			n.Lon, n.Lat = &lon, &lat
		}
	}
}

func (a *app) pointAdd() *cobra.Command {
	var n api.PointFields
	var said func()
	cmd := &cobra.Command{
		Use: "add <id>", Short: "Add a point", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate point add door-7-301 --kind door --name \"7 号楼 301\" --building b-7 --floor 3 --lon 121.4036 --lat 31.2165 --crs WGS84",
		RunE: func(cmd *cobra.Command, argv []string) error {
			said()
			return a.putPoint(cmd, argv[0], n, true)
		},
	}
	said = pointFlags(cmd, &n)
	return cmd
}

func (a *app) pointChange() *cobra.Command {
	var n api.PointFields
	var said func()
	cmd := &cobra.Command{
		Use: "change <id>", Short: "Change a point; what is not named stays", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			said()
			return a.putPoint(cmd, argv[0], n, false)
		},
	}
	said = pointFlags(cmd, &n)
	return cmd
}

func (a *app) putPoint(cmd *cobra.Command, id string, n api.PointFields, fresh bool) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	p, err := c.PutPoint(cmd.Context(), id, n, fresh, "")
	if err != nil {
		return err
	}
	return a.show(p, func() {
		a.sayPoint(&p.Point)
		for _, w := range p.Warnings {
			a.say("  warning: %s", w)
		}
	})
}

func (a *app) sayPoint(p *grid.Point) {
	a.say("%s  %s  %s (%s)  %s", p.ID, p.Name, p.Kind, p.Mode, dash(string(p.State)))
	if where := strings.Join(said(p.Address, p.Building, p.Floor, p.Room), ", "); where != "" {
		a.say("  %s", where)
	}
	if p.Lon != 0 || p.Lat != 0 {
		a.say("  %.6f, %.6f (%s), cell %s", p.Lon, p.Lat, p.CRS, dash(p.Cell))
	}
	if p.Privacy != "" {
		a.say("  %s, owner %s, contractor %s", p.Privacy, dash(p.Owner), dash(p.Contractor))
	}
}

// said leaves out what is empty.
func said(words ...string) (out []string) {
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

func (a *app) pointShow() *cobra.Command {
	return &cobra.Command{
		Use: "show <id>", Short: "Show a point", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			p, err := c.Point(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(p, func() { a.sayPoint(&p) })
		},
	}
}

func (a *app) pointList() *cobra.Command {
	var q api.Query
	cmd := &cobra.Command{
		Use: "list", Short: "List points", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := api.List[api.PointView](cmd.Context(), c, "points", q)
			if err != nil {
				return err
			}
			return a.show(page, func() { a.points(page) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Kind, "kind", "", "only of this `kind`: door, parking, manhole, smoke")
	f.StringVar(&q.State, "state", "", "only in this `state`: planned, active, pending, retired")
	f.StringVar(&q.Cell, "cell", "", "only in this `cell`")
	f.StringVar(&q.Scope.Street, "street", "", "only in this `street`")
	f.StringVar(&q.Text, "text", "", "with this in the id, name or address")
	f.IntVar(&q.Limit, "limit", 100, "at most `n`")
	f.StringVar(&q.Cursor, "cursor", "", "the `next` of the page before")
	return cmd
}

func (a *app) points(page api.Page[api.PointView]) {
	var rows [][]string
	for _, p := range page.Items {
		away := ""
		if p.Distance != nil {
			away = fmt.Sprintf("%.0f m", *p.Distance)
		}
		rows = append(rows, []string{p.ID, p.Name, string(p.Kind), dash(string(p.State)), dash(p.Building), dash(p.Cell), away})
	}
	a.table("no points", []string{"POINT", "NAME", "KIND", "STATE", "BUILDING", "CELL", "AWAY"}, rows)
	a.more(page.Next)
}

func (a *app) pointNear() *cobra.Command {
	var crs string
	var radius float64
	var limit int
	cmd := &cobra.Command{
		Use: "near <lat>,<lon>", Short: "List the points around a position, nearest first", Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate point near 31.2165,121.4036 --crs WGS84 --radius 100",
		RunE: func(cmd *cobra.Command, argv []string) error {
			lat, lon, ok := strings.Cut(argv[0], ",")
			y, errY := strconv.ParseFloat(strings.TrimSpace(lat), 64)
			x, errX := strconv.ParseFloat(strings.TrimSpace(lon), 64)
			if !ok || errX != nil || errY != nil {
				return usage(cmd, fmt.Errorf("position is %q: want <lat>,<lon> in degrees", argv[0]))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := c.PointsNear(cmd.Context(), y, x, crs, radius, limit)
			if err != nil {
				return err
			}
			return a.show(page, func() { a.points(page) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&crs, "crs", "", "coordinate `system`: WGS84, CGCS2000, GCJ-02 or BD-09")
	f.Float64Var(&radius, "radius", 200, "in `metres`")
	f.IntVar(&limit, "limit", 100, "at most `n`")
	return cmd
}

func (a *app) pointRetire() *cobra.Command {
	var reason string
	var with bool
	cmd := &cobra.Command{
		Use: "retire <id>", Short: "Take a point out; refused while something hangs on it", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			p, err := c.RetirePoint(cmd.Context(), argv[0], reason, with)
			if err != nil {
				return err
			}
			return a.show(p, func() { a.say("%s is %s", p.ID, p.State) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the history")
	cmd.Flags().BoolVar(&with, "with-tickets", false, "though tickets are open there")
	return cmd
}

// logCommand lists a history.
func (a *app) logCommand(what string, read func(ctx context.Context, c *api.Client, id string, limit int) (api.Page[grid.Change], error)) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "log <id>", Short: "Show the history of a " + what + ": who changed what, newest first", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			page, err := read(cmd.Context(), c, argv[0], limit)
			if err != nil {
				return err
			}
			return a.show(page, func() {
				var rows [][]string
				for _, l := range page.Items {
					rows = append(rows, []string{clock(l.At), l.By.Name, l.Via, l.Kind + " " + l.Action, l.Subject, dash(l.Reason), changes(&l)})
				}
				a.table("no history", []string{"WHEN", "WHO", "VIA", "WHAT", "OF", "WHY", "BEFORE → AFTER"}, rows)
				a.more(page.Next)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "at most `n` lines")
	return cmd
}

// changes is what a line says in a table; what is new is not told field by field.
func changes(l *grid.Change) string {
	switch {
	case len(l.Before) == 0 && l.Action == "noted":
		return ""
	case len(l.Before) == 0:
		return "(new)"
	}
	return string(l.Before) + " → " + string(l.After)
}

func (a *app) pointLog() *cobra.Command {
	return a.logCommand("point", func(ctx context.Context, c *api.Client, id string, limit int) (api.Page[grid.Change], error) {
		return c.PointLog(ctx, id, limit)
	})
}

func (a *app) deviceLog() *cobra.Command {
	return a.logCommand("device", func(ctx context.Context, c *api.Client, id string, limit int) (api.Page[grid.Change], error) {
		return c.DeviceLog(ctx, grid.Identity(id), limit)
	})
}

// noteCommand keeps a remark.
func (a *app) noteCommand(what string, keep func(ctx context.Context, c *api.Client, id, text string) (grid.Change, error)) *cobra.Command {
	return &cobra.Command{
		Use: "note <id> <text>", Short: "Keep a remark in the history of a " + what, Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			l, err := keep(cmd.Context(), c, argv[0], argv[1])
			if err != nil {
				return err
			}
			return a.show(l, func() { a.say("kept") })
		},
	}
}

func (a *app) pointNote() *cobra.Command {
	return a.noteCommand("point", func(ctx context.Context, c *api.Client, id, text string) (grid.Change, error) {
		return c.NotePoint(ctx, id, text)
	})
}

func (a *app) deviceNote() *cobra.Command {
	return a.noteCommand("device", func(ctx context.Context, c *api.Client, id, text string) (grid.Change, error) {
		return c.NoteDevice(ctx, grid.Identity(id), text)
	})
}

func (a *app) pointPhoto() *cobra.Command {
	var shows, note, to string
	cmd := &cobra.Command{
		Use: "photo <id> [file]", Short: "Keep a photo of a point, or list its photos", Args: args(cobra.RangeArgs(1, 2)),
		Long: "Keep a photo of a point (JPEG, PNG, WebP; its position and other metadata are left out), or without a file list them.\nWith --to the argument is the id of a photo, which is written into that file.",
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			switch {
			case to != "":
				b, err := c.Photo(cmd.Context(), argv[0])
				if err != nil {
					return err
				}
				return os.WriteFile(to, b, 0o600)
			case len(argv) == 1:
				page, err := c.Photos(cmd.Context(), argv[0])
				if err != nil {
					return err
				}
				return a.show(page, func() {
					var rows [][]string
					for _, p := range page.Items {
						rows = append(rows, []string{p.ID, p.Shows, clock(p.At), p.By.Name, dash(p.Note)})
					}
					a.table("no photos", []string{"PHOTO", "SHOWS", "WHEN", "WHO", "NOTE"}, rows)
				})
			}
			b, err := a.readFile(argv[1])
			if err != nil {
				return err
			}
			p, err := c.AddPhoto(cmd.Context(), argv[0], b, shows, note)
			if err != nil {
				return err
			}
			return a.show(p, func() { a.say("%s: %d bytes kept", p.ID, p.Bytes) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&shows, "shows", "near", "what it `shows`: near, far, reference, before, after, label")
	f.StringVar(&note, "note", "", "a remark")
	f.StringVar(&to, "to", "", "write a photo into this `file`")
	return cmd
}

func (a *app) buildingCommand() *cobra.Command {
	return group("building", "Add, change and list buildings", a.buildingPut("add", "Add a building", true), a.buildingPut("change", "Write a building anew", false), a.buildingList(), a.buildingShow(),
		a.logCommand("building", func(ctx context.Context, c *api.Client, id string, limit int) (api.Page[grid.Change], error) {
			return c.BuildingLog(ctx, id, limit)
		}))
}

func (a *app) buildingPut(use, short string, fresh bool) *cobra.Command {
	var n api.NewBuilding
	cmd := &cobra.Command{
		Use: use + " <id>", Short: short, Args: args(cobra.ExactArgs(1)),
		Example: "  gridgate building " + use + " b-7 --name \"7 号楼\" --street 310105006 --entrance \"north gate, by the guard\" --key-holder \"property desk\"",
		RunE: func(cmd *cobra.Command, argv []string) error {
			n.ID = argv[0]
			if n.Name == "" {
				return usage(cmd, fmt.Errorf("--name is missing: want what the building is called"))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			b, err := c.PutBuilding(cmd.Context(), n, fresh)
			if err != nil {
				return err
			}
			return a.show(b, func() { a.sayBuilding(&b) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Name, "name", "", "what it is called")
	f.StringVar(&n.Site, "site", "", "the `site` it stands on")
	f.StringVar(&n.Address, "address", "", "the place in words")
	f.StringArrayVar(&n.Entrances, "entrance", nil, "an entrance in words, the one to take first (may be given again)")
	f.StringVar(&n.KeyHolder, "key-holder", "", "the `role` of the contact who has the key: no name, no number")
	f.IntVar(&n.Floors, "floors", 0, "how many `floors`")
	f.StringVar(&n.District, "district", "", "6-digit `code`")
	f.StringVar(&n.Street, "street", "", "9-digit `code`")
	f.StringVar(&n.Community, "community", "", "12-digit `code`")
	f.StringVar(&n.Compound, "compound", "", "")
	f.StringVar(&n.Contractor, "contractor", "", "the `unit` that maintains it")
	f.Float64Var(&n.Lon, "lon", 0, "longitude in `degrees`")
	f.Float64Var(&n.Lat, "lat", 0, "latitude in `degrees`")
	f.StringVar(&n.CRS, "crs", "", "coordinate `system` of the position")
	f.StringVar(&n.Owner, "owner", "", "a unit's or an organisation's `id`")
	f.StringVar(&n.Notes, "notes", "", "")
	f.BoolVar(&n.Retired, "retired", false, "it is there no more")
	f.StringVar(&n.Reason, "reason", "", "why, for the history")
	return cmd
}

func (a *app) sayBuilding(b *grid.Building) {
	a.say("%s  %s  %s", b.ID, b.Name, dash(b.Address))
	for _, e := range b.Entrances {
		a.say("  entrance: %s", e)
	}
	if b.KeyHolder != "" {
		a.say("  key: %s", b.KeyHolder)
	}
}

func (a *app) buildingShow() *cobra.Command {
	return &cobra.Command{
		Use: "show <id>", Short: "Show a building", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			b, err := c.Building(cmd.Context(), argv[0])
			if err != nil {
				return err
			}
			return a.show(b, func() { a.sayBuilding(&b) })
		},
	}
}

func (a *app) buildingList() *cobra.Command {
	var q api.Query
	cmd := &cobra.Command{
		Use: "list", Short: "List buildings", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listRows(a, cmd, "buildings", q, "no buildings", []string{"BUILDING", "NAME", "SITE", "ADDRESS", "STREET"}, func(b *grid.Building) []string {
				return []string{b.ID, b.Name, dash(b.Site), dash(b.Address), dash(b.Street)}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.Scope.Street, "street", "", "only in this `street`")
	f.StringVar(&q.State, "state", "", "only active or retired")
	f.StringVar(&q.Text, "text", "", "with this in the id, name or address")
	f.IntVar(&q.Limit, "limit", 100, "at most `n`")
	return cmd
}

func (a *app) deviceReplace() *cobra.Command {
	var n api.Replacement
	var undo bool
	cmd := &cobra.Command{
		Use: "replace <identity> [new identity]", Short: "Put another device in the place of one, which is barred", Args: args(cobra.RangeArgs(1, 2)),
		Long:    "Put another device in the place of one. History, rules, open tickets and alarms stay at the point; the old device is barred.\nWith --undo a swap of the last 24 hours is taken back: the argument is the old device.",
		Example: "  gridgate device replace eui:24e124136d490175 eui:24e124136d499999 --reason \"battery empty\"",
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			old := grid.Identity(argv[0])
			var out grid.Swapped
			switch {
			case undo:
				out, err = c.UndoReplace(cmd.Context(), old, n.Reason)
			case len(argv) == 2:
				n.With = argv[1]
				out, err = c.Replace(cmd.Context(), old, n, "")
			default:
				return usage(cmd, fmt.Errorf("the new device is missing: want its identity"))
			}
			if err != nil {
				return err
			}
			return a.show(out, func() {
				a.say("%s is %s, %s is %s; %d waiting frames were processed", out.Old.Identity, out.Old.State, out.New.Identity, out.New.State, out.Replayed)
				for _, in := range out.Installations {
					a.say("  %s %s at %s from %s", in.Device, in.Channel, in.Point, clock(in.From))
				}
				for _, t := range out.Tickets {
					a.say("  ticket %s goes on", t)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&n.Profile, "profile", "", "firmware profile, `vendor/model` (default: that of the old device)")
	f.StringVar(&n.Channel, "channel", "", "only this `channel` (default: all)")
	f.StringVar(&n.Reason, "reason", "", "why, for the history")
	f.BoolVar(&undo, "undo", false, "take a swap back")
	return cmd
}

func (a *app) deviceMove() *cobra.Command {
	var channel, reason string
	cmd := &cobra.Command{
		Use: "move <identity> <point>", Short: "Put a device at another point", Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.MoveDevice(cmd.Context(), grid.Identity(argv[0]), argv[1], channel, reason)
			if err != nil {
				return err
			}
			return a.show(d, func() { a.say("%s is at %s", d.Identity, argv[1]) })
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "the `channel` that moves, of a device with several")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the history")
	return cmd
}

func (a *app) deviceRevive() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "revive <identity>", Short: "Take a barred or retired device back", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.Revive(cmd.Context(), grid.Identity(argv[0]), reason)
			if err != nil {
				return err
			}
			return a.show(d, func() { a.say("%s is %s", d.Identity, d.State) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the history")
	return cmd
}

func (a *app) deviceBar() *cobra.Command {
	var reason string
	var stolen bool
	cmd := &cobra.Command{
		Use: "bar <identity>", Short: "Keep a device out: no login, its frames are quarantined", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			if reason == "" {
				return usage(cmd, fmt.Errorf("--reason is missing: want why the device is barred"))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			d, err := c.Bar(cmd.Context(), grid.Identity(argv[0]), reason, stolen)
			if err != nil {
				return err
			}
			return a.show(d, func() { a.say("%s is %s", d.Identity, d.State) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().BoolVar(&stolen, "stolen", false, "it was stolen: device.stolen is raised where it was")
	return cmd
}
