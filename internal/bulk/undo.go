package bulk

import (
	"context"
	"encoding/json"
	"fmt"

	"gridgate/internal/grid"
)

// present is what is registered now of what a piece has changed.
type present struct {
	points        map[string]*grid.Point
	buildings     map[string]*grid.Building
	devices       map[grid.Identity]*grid.Device
	installations map[string]*grid.Installation // by device, channel and beginning
	heard         map[grid.Identity]bool
	uses          map[string]grid.Text
}

func (j *Jobs) present(ctx context.Context, changes []change) (*present, error) {
	var points, buildings []string
	var devices []grid.Identity
	for _, c := range changes {
		switch c.Kind {
		case "point":
			points = append(points, c.ID)
		case "building":
			buildings = append(buildings, c.ID)
		default:
			devices = append(devices, grid.Identity(c.ID))
			if c.In != nil {
				points = append(points, c.In.Point)
			}
		}
	}
	r, err := j.Store.Registered(ctx, points, devices)
	if err != nil {
		return nil, err
	}
	installations, err := j.Store.InstallationsOf(ctx, devices)
	if err != nil {
		return nil, err
	}
	houses, err := j.Store.BuildingsAmong(ctx, buildings)
	if err != nil {
		return nil, err
	}
	p := &present{map[string]*grid.Point{}, map[string]*grid.Building{}, map[grid.Identity]*grid.Device{}, map[string]*grid.Installation{}, map[grid.Identity]bool{}, nil}
	for i := range r.Points {
		p.points[r.Points[i].ID] = &r.Points[i]
	}
	for i := range houses {
		p.buildings[houses[i].ID] = &houses[i]
	}
	for i := range r.Devices {
		p.devices[r.Devices[i].Identity] = &r.Devices[i]
	}
	for i := range installations {
		p.installations[whole(&installations[i])] = &installations[i]
	}
	heard, err := j.Engine.Heard(ctx, devices)
	if err != nil {
		return nil, err
	}
	for _, id := range heard {
		p.heard[id] = true
	}
	p.uses, err = j.Store.UsesOf(ctx, points, devices)
	return p, err
}

func whole(in *grid.Installation) string {
	return fmt.Sprintf("%s\x00%s\x00%d", in.Device, in.Channel, in.From.UnixNano())
}

// back works out how some changes are taken back: what somebody has changed since, or what has
// been heard of or worked at since, stays as it is, and all that hangs together with it.
func (j *Jobs) back(ctx context.Context, changes []change) (*grid.ImportUndo, error) {
	u := &grid.ImportUndo{Registry: j.Engine.RegistryNo()}
	now, err := j.present(ctx, changes)
	if err != nil {
		return nil, err
	}
	b := &taking{u: u, now: now, kept: map[string]bool{}, listed: map[string]bool{}}
	for i := range changes {
		if w := now.stays(&changes[i]); w != nil {
			b.keep(&changes[i], w)
		}
	}
	for again := true; again; { // what hangs together stays together
		again = false
		for i := range changes {
			again = b.together(&changes[i]) || again
		}
	}
	for i := len(changes) - 1; i >= 0; i-- {
		if err := b.take(&changes[i]); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// stays tells why a change cannot be taken back.
func (now *present) stays(c *change) *grid.Text {
	const zh, en = "导入之后又被修改：保持现状", "was changed since the import: it stays as it is"
	sums := ""
	switch c.Kind {
	case "point":
		if p := now.points[c.ID]; p != nil {
			sums = sumPoint(p)
		}
	case "building":
		if p := now.buildings[c.ID]; p != nil {
			sums = sum(p)
		}
	case "device":
		if d := now.devices[grid.Identity(c.ID)]; d != nil {
			sums = sumDevice(d)
		}
	case "installation":
		key := grid.Installation{Device: grid.Identity(c.ID), Channel: c.In.Channel, From: c.In.From}
		if in := now.installations[whole(&key)]; in != nil {
			sums = sum(in)
		}
	}
	switch {
	case sums == "":
		return say("导入之后已不存在", "is there no more")
	case sums != c.Sum:
		return say(zh, en)
	case c.Was != nil:
		return nil
	}
	if id := grid.Identity(c.ID); c.Kind == "device" && now.heard[id] {
		return say("设备导入之后已有数据：不会删除，如需停用请退役", "the device has been heard since the import and is not removed: want it retired if it is to go")
	}
	if w, used := now.uses[c.ID]; used && c.Kind != "installation" && c.Kind != "building" {
		return say("导入之后%[1]s：不会删除", "%[2]s since the import and is not removed", w.ZH, w.EN)
	}
	return nil
}

// taking collects what is taken back and what is kept.
type taking struct {
	u      *grid.ImportUndo
	now    *present
	kept   map[string]bool // "point/…", "device/…"
	listed map[string]bool
}

func (b *taking) keep(c *change, w *grid.Text) {
	name := c.name()
	if b.listed[name] {
		return
	}
	b.kept[name], b.listed[name] = true, true
	b.u.Kept = append(b.u.Kept, grid.ImportProblem{Row: c.N, Column: c.Kind, Value: c.ID, Problem: *w})
}

func (c *change) name() string {
	if c.In != nil {
		return fmt.Sprintf("in/%s/%s/%d", c.ID, c.In.Channel, c.In.From.UnixNano())
	}
	return c.Kind + "/" + c.ID
}

// together keeps an installation whose device or point stays, and a device or new point whose
// installation does.
func (b *taking) together(c *change) bool {
	if c.Kind != "installation" {
		return false
	}
	device, point := "device/"+c.ID, "point/"+c.In.Point
	if !b.kept[c.name()] && b.kept[device] {
		b.keep(c, hangsTogether())
		return true
	}
	if b.kept[c.name()] && (!b.kept[device] || !b.kept[point]) {
		b.kept[device], b.kept[point] = true, true
		return true
	}
	return false
}

func hangsTogether() *grid.Text {
	return say("与保留的设备或点位相连：保持现状", "belongs to a device or point that stays: it stays too")
}

// take takes one change back, unless it stays.
func (b *taking) take(c *change) error {
	if b.kept[c.name()] {
		b.keep(c, hangsTogether())
		return nil
	}
	u := b.u
	var err error
	switch c.Kind {
	case "point":
		if c.Was == nil {
			u.Gone.Points = append(u.Gone.Points, c.ID)
			return nil
		}
		u.Points, err = restored(u.Points, c.Was)
	case "building":
		if c.Was == nil {
			u.Gone.Buildings = append(u.Gone.Buildings, c.ID)
			return nil
		}
		u.Buildings, err = restored(u.Buildings, c.Was)
	case "device":
		if c.Was == nil {
			u.Gone.Devices = append(u.Gone.Devices, grid.Identity(c.ID))
			return nil
		}
		if u.Devices, err = restored(u.Devices, c.Was); err == nil {
			u.Devices[len(u.Devices)-1].Source = b.now.devices[grid.Identity(c.ID)].Source
		}
	case "installation":
		if c.Was == nil {
			u.Gone.Installations = append(u.Gone.Installations, grid.Installation{Device: grid.Identity(c.ID), Channel: c.In.Channel, From: c.In.From, Point: c.In.Point})
			return nil
		}
		u.Installations, err = restored(u.Installations, c.Was)
	}
	return err
}

func restored[T any](to []T, was json.RawMessage) ([]T, error) {
	var row T
	if err := json.Unmarshal(was, &row); err != nil {
		return to, fmt.Errorf("a row as it was before an import: %w", err)
	}
	return append(to, row), nil
}

// undo takes the pieces back, the newest first.
func (j *Jobs) undo(ctx context.Context, m grid.Import) (grid.Import, error) {
	pieces, err := j.Store.ImportPieces(ctx, m.ID)
	if err != nil {
		return m, grid.Errorf(grid.Unavailable, "%w", err)
	}
	if len(pieces) == 0 {
		m.State, m.Ended = grid.ImportUndone, j.Now().UTC()
		return j.Engine.MoveImport(ctx, m, "", grid.Actor{}, grid.ImportUndoing)
	}
	for m.State == grid.ImportUndoing {
		n := pieces[len(pieces)-1-m.Done]
		was, err := j.Store.ImportWas(ctx, m.ID, n)
		if err != nil {
			return m, grid.Errorf(grid.Unavailable, "%w", err)
		}
		changes, err := unpacked(was)
		if err != nil {
			return m, err
		}
		for try := 0; ; try++ {
			u, err := j.back(ctx, changes)
			if err != nil {
				return m, grid.Errorf(grid.Unavailable, "%w", err)
			}
			u.Import, u.By, u.Piece, u.Last = m.ID, m.By, n, m.Done == len(pieces)-1
			next, err := j.Engine.UndoImported(ctx, *u)
			if grid.CodeOf(err) == grid.Conflict && err != nil && try < tries && ctx.Err() == nil {
				continue
			}
			if err != nil {
				return m, err
			}
			m = next
			break
		}
	}
	return m, nil
}
